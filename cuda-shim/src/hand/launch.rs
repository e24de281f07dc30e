//! Launches: posted, because every refusal that CUDA makes at the call is made here.
//!
//! The application gives pointers to parameters without their sizes. The layout came with the
//! kernel's look-up, so the values are packed here as the kernel has them, in one block.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_driver_abi::launch::{FunctionLimits, Shape, check};
use flexdirect_wire::abi::CuStream;
use flexdirect_wire::abi::{
    CuError, CuFunction, CuLaunchAttribute, CuLaunchConfig, CuResult, InOut,
};
use flexdirect_wire::body::{Launch, LaunchAttribute};
use flexdirect_wire::call::op;
use flexdirect_wire::limits::PARAMETERS_LEN_MAX;

use super::stream::target;
use crate::objects::{Context, Function};
use crate::process::{Here, Process, here};

/// Where the application has put the parameters: one of the two.
#[derive(Clone, Copy, Debug)]
struct Given {
    kernel_params: *mut *mut c_void,
    extra: *mut *mut c_void,
}

#[expect(clippy::too_many_arguments, reason = "the call has as many")]
pub(crate) fn cuLaunchKernel(
    f: CuFunction,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    stream: CuStream,
    kernel_params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CuResult {
    let shape = Shape {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        shared_len: shared_mem_bytes,
    };
    launch(
        f,
        shape,
        stream,
        Given {
            kernel_params,
            extra,
        },
        &Attributes::default(),
    )
}

/// Crosses as a launch with the attribute that says so, and is awaited: whether its blocks fit the
/// device all at once the driver knows.
#[expect(clippy::too_many_arguments, reason = "the call has as many")]
pub(crate) fn cuLaunchCooperativeKernel(
    f: CuFunction,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    stream: CuStream,
    kernel_params: *mut *mut c_void,
) -> CuResult {
    let shape = Shape {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        shared_len: shared_mem_bytes,
    };
    let given = Given {
        kernel_params,
        extra: std::ptr::null_mut(),
    };
    launch(f, shape, stream, given, &Attributes::cooperative())
}

pub(crate) fn cuLaunchKernelEx(
    config: *const CuLaunchConfig,
    f: CuFunction,
    kernel_params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CuResult {
    let config = InOut(config.cast_mut()).read()?;
    let shape = Shape {
        grid: config.grid,
        block: config.block,
        shared_len: config.shared_mem_bytes,
    };
    let attributes = Attributes::read(&config)?;
    launch(
        f,
        shape,
        config.stream,
        Given {
            kernel_params,
            extra,
        },
        &attributes,
    )
}

fn launch(
    f: CuFunction,
    shape: Shape,
    stream: CuStream,
    given: Given,
    attributes: &Attributes,
) -> CuResult {
    let here = here()?;
    here.process.session.check_context(here.context.handle)?;
    let function = here
        .process
        .functions
        .find(f.0)
        .ok_or(CuError::INVALID_HANDLE)?;
    let is_kernel = function.context == 0;
    if !is_kernel && function.context != here.context.handle {
        return Err(CuError::INVALID_HANDLE);
    }
    let target = target(here.process, stream)?;
    if target.context != here.context.handle {
        return Err(CuError::INVALID_HANDLE);
    }
    prove(&here, &function, shape)?;
    let parameters = pack(&function, given)?;
    super::twin::reach_from(here.process, &parameters);
    let body = crate::process::body(|record| {
        record.put(&Launch {
            function: f.0,
            stream: target.handle,
            grid: shape.grid,
            block: shape.block,
            shared_len: shape.shared_len,
            attributes: u32::try_from(attributes.list.len()).expect("at most ATTRIBUTES_MAX"),
            parameters_len: u32::try_from(parameters.len()).expect("at most PARAMETERS_LEN_MAX"),
            ..Launch::default()
        });
        record.bytes(&parameters);
        for attribute in &attributes.list {
            record.put(attribute);
        }
        Ok(())
    })?;
    let op = if attributes.list.is_empty() {
        op::cuLaunchKernel
    } else {
        op::cuLaunchKernelEx
    };
    if attributes.is_provable {
        here.submit(op, &body)
    } else {
        here.ask(op, &body)?.check()
    }
}

/// The parameters of a kernel node, packed, after all that a launch would be refused for.
///
/// # Errors
/// Those of the launch.
pub(crate) fn pack_for_node(
    process: &'static Process,
    context: &Arc<Context>,
    function: u64,
    shape: Shape,
    (kernel_params, extra): (*mut *mut c_void, *mut *mut c_void),
) -> Result<Vec<u8>, CuError> {
    let found = process.functions.find(function);
    let found = found.ok_or(CuError::INVALID_HANDLE)?;
    if found.context != 0 && found.context != context.handle {
        return Err(CuError::INVALID_HANDLE);
    }
    let context = Arc::clone(context);
    prove(&Here { process, context }, &found, shape)?;
    let given = Given {
        kernel_params,
        extra,
    };
    let parameters = pack(&found, given)?;
    super::twin::reach_from(process, &parameters);
    Ok(parameters)
}

fn prove(here: &Here, function: &Function, shape: Shape) -> CuResult {
    let attribute = |number| {
        function
            .attribute(number)
            .unwrap_or(0)
            .max(0)
            .unsigned_abs()
    };
    let limits = FunctionLimits {
        threads_max: attribute(MAX_THREADS_PER_BLOCK),
        dynamic_shared_len_max: attribute(MAX_DYNAMIC_SHARED_SIZE_BYTES),
    };
    check(shape, here.device().limits, limits)
        .map_err(|code| CuError::check(code).expect_err("a refusal is not success"))
}

/// The parameters as the kernel has them.
fn pack(function: &Arc<Function>, given: Given) -> Result<Vec<u8>, CuError> {
    if !given.extra.is_null() {
        if !given.kernel_params.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        return packed_already(function, given.extra);
    }
    let len = function.parameters_len as usize;
    let mut block = vec![0; len];
    if function.parameters.is_empty() {
        return Ok(block);
    }
    if given.kernel_params.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    for (index, parameter) in function.parameters.iter().enumerate() {
        // SAFETY: `kernel_params` has a pointer for each parameter of the kernel, by CUDA's
        // contract, and the layout is the kernel's own.
        let value = unsafe { given.kernel_params.add(index).read_unaligned() };
        if value.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let (offset, len) = (parameter.offset as usize, parameter.len as usize);
        let target = &mut block[offset..offset + len];
        // SAFETY: each pointer points to a value of its parameter's size, by the same contract; the
        // target is memory of ours of that size (the layout was checked when it came).
        unsafe {
            std::ptr::copy_nonoverlapping(value.cast::<u8>(), target.as_mut_ptr(), len);
        }
    }
    Ok(block)
}

/// A block that the application has packed: `extra` holds names and values, and ends with a null.
fn packed_already(function: &Function, extra: *mut *mut c_void) -> Result<Vec<u8>, CuError> {
    let (mut buffer, mut len) = (std::ptr::null_mut::<c_void>(), 0);
    for pair in 0..EXTRA_PAIRS_MAX {
        // SAFETY: `extra` is a list that ends with a null, which has not come yet, by CUDA's
        // contract.
        let name = unsafe { extra.add(pair * 2).read_unaligned() } as usize;
        if name == 0 {
            break;
        }
        // SAFETY: as above; each name is followed by its value.
        let value = unsafe { extra.add(pair * 2 + 1).read_unaligned() };
        match name {
            BUFFER_POINTER => buffer = value,
            BUFFER_SIZE => len = InOut(value.cast::<usize>()).read()?,
            _ => return Err(CuError::INVALID_VALUE),
        }
    }
    let needed = function.parameters_len as usize;
    if len < needed || len > PARAMETERS_LEN_MAX || (buffer.is_null() && len > 0) {
        return Err(CuError::INVALID_VALUE);
    }
    let mut block = vec![0; needed];
    // SAFETY: the application says that `len` bytes are there, of which these are the first; with
    // no bytes at all the pointer is not read.
    unsafe { std::ptr::copy_nonoverlapping(buffer.cast::<u8>(), block.as_mut_ptr(), needed) };
    Ok(block)
}

/// Launch attributes that are sent.
#[derive(Debug)]
struct Attributes {
    list: Vec<LaunchAttribute>,
    /// Whether all that the driver could refuse for their sake is proved.
    is_provable: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            is_provable: true,
        }
    }
}

impl Attributes {
    /// Those of a cooperative launch.
    fn cooperative() -> Self {
        let attribute = LaunchAttribute {
            id: COOPERATIVE,
            reserved: 0,
            value: [1, 0, 0, 0, 0, 0, 0, 0],
        };
        Self {
            list: vec![attribute],
            is_provable: false,
        }
    }

    fn read(config: &CuLaunchConfig) -> Result<Self, CuError> {
        let mut attributes = Self::default();
        if config.num_attrs > ATTRIBUTES_MAX {
            return Err(CuError::INVALID_VALUE);
        }
        for index in 0..config.num_attrs as usize {
            attributes.take(&InOut(config.attrs.wrapping_add(index)).read()?)?;
        }
        Ok(attributes)
    }

    fn take(&mut self, attribute: &CuLaunchAttribute) -> CuResult {
        let [low, ..] = attribute.value[0].to_le_bytes();
        match attribute.id {
            IGNORE => return Ok(()),
            // Off is what a launch without it is; on is absent.
            COOPERATIVE | DEVICE_UPDATABLE if low == 0 => return Ok(()),
            COOPERATIVE
            | CLUSTER_DIMENSION
            | CLUSTER_SCHEDULING
            | PREFERRED_CLUSTER_DIMENSION
            | ACCESS_POLICY_WINDOW
            | MEM_SYNC_DOMAIN_MAP
            | MEM_SYNC_DOMAIN => {
                self.is_provable = false;
            }
            // Hints: any value is taken.
            PROGRAMMATIC_STREAM_SERIALIZATION | PRIORITY | PREFERRED_SHARED_MEMORY_CARVEOUT => {}
            // Events, nodes and what this table does not know.
            _ => return Err(CuError::NOT_SUPPORTED),
        }
        self.list.push(LaunchAttribute {
            id: attribute.id,
            reserved: 0,
            value: attribute.value,
        });
        Ok(())
    }
}

/// `CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK`.
const MAX_THREADS_PER_BLOCK: u32 = 0;
/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`.
const MAX_DYNAMIC_SHARED_SIZE_BYTES: u32 = 8;

/// `CU_LAUNCH_PARAM_BUFFER_POINTER`.
const BUFFER_POINTER: usize = 1;
/// `CU_LAUNCH_PARAM_BUFFER_SIZE`.
const BUFFER_SIZE: usize = 2;
/// More pairs than there are names.
const EXTRA_PAIRS_MAX: usize = 8;
/// More attributes than there are identifiers.
const ATTRIBUTES_MAX: u32 = 64;

/// Identifiers of launch attributes (CUDA Driver API, CUlaunchAttributeID).
const IGNORE: u32 = 0;
const ACCESS_POLICY_WINDOW: u32 = 1;
const COOPERATIVE: u32 = 2;
const CLUSTER_DIMENSION: u32 = 4;
const CLUSTER_SCHEDULING: u32 = 5;
const PROGRAMMATIC_STREAM_SERIALIZATION: u32 = 6;
const PRIORITY: u32 = 8;
const MEM_SYNC_DOMAIN_MAP: u32 = 9;
const MEM_SYNC_DOMAIN: u32 = 10;
const PREFERRED_CLUSTER_DIMENSION: u32 = 11;
const DEVICE_UPDATABLE: u32 = 13;
const PREFERRED_SHARED_MEMORY_CARVEOUT: u32 = 14;
