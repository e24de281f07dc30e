//! Kernel launches: the parameters come packed, so that the worker needs no layout.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;

use flexdirect_wire::abi::{CuFunction, CuLaunchAttribute, CuLaunchConfig};
use flexdirect_wire::body::{Launch, LaunchAttribute};
use flexdirect_wire::limits::PARAMETERS_LEN_MAX;
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use crate::dispatch::{Call, Step, Stop};

pub(crate) fn cuLaunchKernel(call: &mut Call<'_>) -> Result<Step, Stop> {
    let request = read(call)?;
    let Launch {
        grid,
        block,
        shared_len,
        ..
    } = request.launch;
    let mut parameters = Packed::new(request.parameters);
    let driver = &call.session.driver;
    // SAFETY: the handles come from the session's table; `extra` names the packed parameters and
    // their length, which outlive the call, and ends as the driver wants.
    unsafe {
        driver.cuLaunchKernel(
            request.function,
            grid[0],
            grid[1],
            grid[2],
            block[0],
            block[1],
            block[2],
            shared_len,
            request.stream,
            std::ptr::null_mut(),
            parameters.extra().as_mut_ptr(),
        )
    }?;
    Ok(Step::Done)
}

pub(crate) fn cuLaunchKernelEx(call: &mut Call<'_>) -> Result<Step, Stop> {
    let request = read(call)?;
    let Launch {
        grid,
        block,
        shared_len,
        attributes: num_attrs,
        ..
    } = request.launch;
    let mut attributes = request.attributes;
    let config = CuLaunchConfig {
        grid,
        block,
        shared_mem_bytes: shared_len,
        stream: request.stream,
        attrs: attributes.as_mut_ptr().cast::<CuLaunchAttribute>(),
        num_attrs,
    };
    let mut parameters = Packed::new(request.parameters);
    let driver = &call.session.driver;
    // SAFETY: as for cuLaunchKernel; the attributes have the layout of the driver's (asserted
    // below) and hold no pointer of this process.
    unsafe {
        driver.cuLaunchKernelEx(
            &raw const config,
            request.function,
            std::ptr::null_mut(),
            parameters.extra().as_mut_ptr(),
        )
    }?;
    Ok(Step::Done)
}

/// A launch, checked.
struct Request {
    launch: Launch,
    function: CuFunction,
    stream: flexdirect_wire::abi::CuStream,
    parameters: Vec<u64>,
    attributes: Vec<LaunchAttribute>,
}

fn read(call: &mut Call<'_>) -> Result<Request, Stop> {
    let launch: Launch = call.body.get()?;
    let parameters_len = launch.parameters_len as usize;
    if launch.reserved != 0 || launch.reserved2 != 0 {
        return Err(call.bad("reserved", launch.reserved2 | u64::from(launch.reserved)));
    }
    let bytes = call.body.bytes()?;
    if bytes.len() != parameters_len || parameters_len > PARAMETERS_LEN_MAX {
        return Err(call.bad("length of the parameters", u64::from(launch.parameters_len)));
    }
    let parameters = Packed::words(bytes);
    let mut attributes = Vec::new();
    for _ in 0..launch.attributes {
        let attribute: LaunchAttribute = call.body.get()?;
        if attribute.reserved != 0 {
            return Err(call.bad("reserved", u64::from(attribute.reserved)));
        }
        if !PLAIN_ATTRIBUTES.contains(&attribute.id) {
            return Err(CuError::NOT_SUPPORTED.into());
        }
        attributes.push(attribute);
    }
    let handle = ShadowHandle(launch.function);
    let kind = if handle.kind() == Kind::KERNEL {
        Kind::KERNEL
    } else {
        Kind::FUNCTION
    };
    let function = CuFunction(call.find(kind, launch.function)?);
    let stream = call.use_queue(launch.stream)?.driver;
    Ok(Request {
        launch,
        function,
        stream,
        parameters,
        attributes,
    })
}

/// Packed parameters, aligned, with the list that names them to the driver.
pub(super) struct Packed {
    words: Vec<u64>,
    len: usize,
    extra: [*mut c_void; 5],
}

impl Packed {
    pub(super) fn new(mut words: Vec<u64>) -> Self {
        let len = words
            .pop()
            .map_or(0, |len| usize::try_from(len).unwrap_or(0));
        Self {
            words,
            len,
            extra: [std::ptr::null_mut(); 5],
        }
    }

    /// The bytes as words, and their length as the last of them.
    pub(super) fn words(bytes: &[u8]) -> Vec<u64> {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        words.chain([bytes.len() as u64]).collect()
    }

    pub(super) fn extra(&mut self) -> &mut [*mut c_void; 5] {
        self.extra = [
            PARAMETERS_POINTER,
            self.words.as_mut_ptr().cast(),
            PARAMETERS_LEN,
            (&raw mut self.len).cast(),
            std::ptr::null_mut(),
        ];
        &mut self.extra
    }
}

const _: () = assert!(size_of::<LaunchAttribute>() == size_of::<CuLaunchAttribute>());

/// `CU_LAUNCH_PARAM_BUFFER_POINTER`.
const PARAMETERS_POINTER: *mut c_void = std::ptr::without_provenance_mut(1);

/// `CU_LAUNCH_PARAM_BUFFER_SIZE`.
const PARAMETERS_LEN: *mut c_void = std::ptr::without_provenance_mut(2);

/// Launch attributes whose values are plain (CUDA Driver API, CUlaunchAttributeID): ignore, access
/// policy window, cooperative, synchronisation policy, cluster dimension, cluster scheduling,
/// programmatic stream serialisation, priority, memory synchronisation domain map and domain,
/// preferred cluster dimension, shared memory carveout, NVLink-centric scheduling. The others hold
/// handles or pointers.
pub(super) const PLAIN_ATTRIBUTES: [u32; 13] = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 14, 16];
