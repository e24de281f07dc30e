//! Kernel launches and occupancy.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_driver_abi::launch::{Shape, check};
use flexdirect_wire::abi::*;

use super::not_null;
use crate::attributes::LIMITS;
use crate::context::{self, Context};
use crate::driver::trace;
use crate::exec::{Fault, Launch, run};
use crate::function::{self, Function};
use crate::raw::{self, Span};
use crate::stream::{Body, Work};

#[expect(clippy::too_many_arguments, reason = "the C signature")]
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
    launch(f, shape, stream, kernel_params, extra)
}

pub(crate) fn cuLaunchKernelEx(
    config: *const CuLaunchConfig,
    f: CuFunction,
    kernel_params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CuResult {
    context::current()?;
    let (config, attributes) = raw::launch_config(config).ok_or(CuError::INVALID_VALUE)?;
    for attribute in &attributes {
        check_attribute(attribute)?;
    }
    let shape = Shape {
        grid: config.grid,
        block: config.block,
        shared_len: config.shared_mem_bytes,
    };
    launch(f, shape, config.stream, kernel_params, extra)
}

/// Hints are ignored; what would change the meaning of the launch is refused.
fn check_attribute(attribute: &CuLaunchAttribute) -> CuResult {
    let [first, second, ..] = attribute.value;
    let low = |value: u64| value & u64::from(u32::MAX);
    let asks = match attribute.id {
        COOPERATIVE => low(first) != 0,
        CLUSTER => [low(first), first >> 32, low(second)]
            .iter()
            .any(|&blocks| blocks > 1),
        PROGRAMMATIC_EVENT | LAUNCH_COMPLETION_EVENT => first != 0,
        UPDATABLE_NODE => low(first) != 0,
        _ => false,
    };
    if asks {
        return Err(CuError::NOT_SUPPORTED);
    }
    Ok(())
}

fn launch(
    function: CuFunction,
    shape: Shape,
    stream: CuStream,
    kernel_params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CuResult {
    let current = context::current()?;
    let function = function::find(function)?;
    let (context, stream) = context::stream(stream)?;
    if context.id != current.id {
        return Err(CuError::INVALID_HANDLE);
    }
    let parameters = parameters(&function, kernel_params, extra)?;
    let work = prepare(&context, &function, shape, parameters)?;
    context.submit(&stream, None, Work::Execute(Box::new(move || work())))
}

/// A launch whose arguments are checked, to be executed as often as it is asked for.
pub(crate) fn prepare(
    context: &Arc<Context>,
    function: &Function,
    shape: Shape,
    parameters: Vec<u8>,
) -> Result<Body, CuError> {
    check(shape, LIMITS, function.limits()?).or_else(CuError::check)?;
    let module = function.module(context)?;
    let kernel = function.kernel()?;
    if kernel
        .required_block()
        .is_some_and(|block| block != shape.block)
    {
        return Err(CuError::INVALID_VALUE);
    }
    let owner = Arc::clone(context);
    let work = move || {
        let device = owner.device();
        let launch = Launch {
            kernel: &kernel,
            grid: shape.grid,
            block: shape.block,
            dynamic_shared_bytes: shape.shared_len,
            parameters: &parameters,
            memory: owner.memory(),
            globals: &|name| module.globals.get(name).map(|global| global.0),
            workers: device.multiprocessors,
            cancel: &owner.cancel,
            print: &|text| owner.print(text),
            cooperative_workspace: None,
        };
        run(&launch).map_err(|fault| error_of(&fault))
    };
    Ok(Arc::new(work))
}

/// Values of the parameters in their layout, copied: the application's pointers are dead when the
/// call has returned.
pub(crate) fn parameters(
    function: &Function,
    kernel_params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Result<Vec<u8>, CuError> {
    let len = function.parameters_len();
    if !extra.is_null() {
        if !kernel_params.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let buffer = raw::launch_extra(extra).ok_or(CuError::INVALID_VALUE)?;
        // Trailing padding may be left out or there: what counts are the parameters.
        if buffer.len() < len {
            return Err(CuError::INVALID_VALUE);
        }
        return Ok(Span::new(buffer.address(), len).to_vec());
    }
    let mut bytes = vec![0; len];
    if function.parameters.is_empty() {
        return Ok(bytes);
    }
    let values = raw::pointers(kernel_params, function.parameters.len());
    if values.is_empty() || values.iter().any(|value| value.is_null()) {
        return Err(CuError::INVALID_VALUE);
    }
    for (parameter, value) in function.parameters.iter().zip(values) {
        let address = value.expose_provenance() as u64;
        let (offset, size) = (parameter.offset as usize, parameter.size as usize);
        let value = Span::new(address, size).to_vec();
        bytes[offset..offset + size].copy_from_slice(&value);
    }
    Ok(bytes)
}

/// The error by which a fault is known, told to whoever wants to know more.
fn error_of(fault: &Fault) -> CuError {
    trace(|| fault.to_string());
    match fault {
        Fault::AssertFailed { place, message } => {
            // Every driver tells of a failed assertion on stderr, in this form.
            let mut parts = message.splitn(3, ": ");
            let mut part = || parts.next().unwrap_or_default();
            let (line, function, condition) = (part(), part(), part());
            let ([bx, by, bz], [tx, ty, tz]) = (place.block, place.thread);
            eprintln!(
                "{line}: {function}: block: [{bx},{by},{bz}], thread: [{tx},{ty},{tz}] \
                 Assertion `{condition}` failed."
            );
            CuError::ASSERT
        }
        Fault::BarrierDeadlock { .. } => CuError::LAUNCH_TIMEOUT,
        Fault::IllegalAddress { .. } => CuError::ILLEGAL_ADDRESS,
        Fault::IllegalInstruction { .. } => CuError::ILLEGAL_INSTRUCTION,
        Fault::Misaligned { .. } => CuError::MISALIGNED_ADDRESS,
        Fault::StackOverflow { .. } => CuError::HARDWARE_STACK_ERROR,
        _ => CuError::LAUNCH_FAILED,
    }
}

// ------------------------------------------------------------------------------- occupancy

pub(crate) fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    num_blocks: Out<i32>,
    func: CuFunction,
    block_size: i32,
    dynamic_smem_size: usize,
) -> CuResult {
    not_null(num_blocks)?;
    let function = function::find(func)?;
    let threads = u32::try_from(block_size)
        .ok()
        .filter(|&threads| threads > 0);
    let threads = threads.ok_or(CuError::INVALID_VALUE)?;
    let blocks = function.blocks_per_processor(threads, dynamic_smem_size)?;
    num_blocks.write(blocks.cast_signed())
}

pub(crate) fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    num_blocks: Out<i32>,
    func: CuFunction,
    block_size: i32,
    dynamic_smem_size: usize,
    flags: u32,
) -> CuResult {
    if flags > DISABLE_CACHING_OVERRIDE {
        return Err(CuError::INVALID_VALUE);
    }
    cuOccupancyMaxActiveBlocksPerMultiprocessor(num_blocks, func, block_size, dynamic_smem_size)
}

pub(crate) fn cuOccupancyAvailableDynamicSMemPerBlock(
    dynamic_smem_size: Out<usize>,
    func: CuFunction,
    num_blocks: i32,
    block_size: i32,
) -> CuResult {
    not_null(dynamic_smem_size)?;
    let function = function::find(func)?;
    let blocks = u32::try_from(num_blocks).ok().filter(|&blocks| blocks > 0);
    let blocks = blocks.ok_or(CuError::INVALID_VALUE)?;
    if !(1..=LIMITS.threads_max.cast_signed()).contains(&block_size) {
        return Err(CuError::INVALID_VALUE);
    }
    dynamic_smem_size.write(function.shared_len_for_blocks(blocks)? as usize)
}

/// CU_LAUNCH_ATTRIBUTE_COOPERATIVE and others (CUDA Driver API, CUlaunchAttributeID).
const COOPERATIVE: u32 = 2;
const CLUSTER: u32 = 4;
const PROGRAMMATIC_EVENT: u32 = 7;
const LAUNCH_COMPLETION_EVENT: u32 = 12;
const UPDATABLE_NODE: u32 = 13;
/// CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE.
const DISABLE_CACHING_OVERRIDE: u32 = 1;
