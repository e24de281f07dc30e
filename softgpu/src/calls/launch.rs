//! Kernel launches and occupancy.

use std::ffi::c_void;
use std::sync::Arc;

use flexdirect_driver_abi::launch::{Shape, check};
use flexdirect_wire::abi::*;

use super::not_null;
use crate::attributes::LIMITS;
use crate::capture;
use crate::context::{self, Context};
use crate::function::{self, Function};
use crate::graph::Action;
use crate::launch::Prepared;
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
    launch(f, shape, false, stream, kernel_params, extra)
}

/// A launch whose blocks are all resident at once, so that they can wait for one another.
#[expect(clippy::too_many_arguments, reason = "the C signature")]
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
    launch(f, shape, true, stream, kernel_params, std::ptr::null_mut())
}

pub(crate) fn cuLaunchKernelEx(
    config: *const CuLaunchConfig,
    f: CuFunction,
    kernel_params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CuResult {
    context::current()?;
    let (config, attributes) = raw::launch_config(config).ok_or(CuError::INVALID_VALUE)?;
    let mut is_cooperative = false;
    for attribute in &attributes {
        check_attribute(attribute)?;
        is_cooperative |= attribute.id == COOPERATIVE && attribute.value[0] << 32 != 0;
    }
    let shape = Shape {
        grid: config.grid,
        block: config.block,
        shared_len: config.shared_mem_bytes,
    };
    launch(
        f,
        shape,
        is_cooperative,
        config.stream,
        kernel_params,
        extra,
    )
}

/// Hints are ignored; what would change the meaning of the launch is refused.
fn check_attribute(attribute: &CuLaunchAttribute) -> CuResult {
    let [first, second, ..] = attribute.value;
    let low = |value: u64| value & u64::from(u32::MAX);
    let asks = match attribute.id {
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
    is_cooperative: bool,
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
    let how = (shape, is_cooperative);
    let values = &parameters;
    let action = || Action::kernel(&context, &function, how, values.clone());
    if capture::take(&stream, action)? {
        return Ok(());
    }
    let work = prepare(&context, &function, shape, is_cooperative, parameters)?;
    context.submit(&stream, None, Work::Execute(Box::new(move || work())))
}

/// A launch whose arguments are checked, to be executed as often as it is asked for.
pub(crate) fn prepare(
    context: &Arc<Context>,
    function: &Function,
    shape: Shape,
    is_cooperative: bool,
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
    if is_cooperative {
        check_residence(function, context, shape)?;
    }
    let prepared = Prepared {
        kernel,
        module,
        shape,
        is_cooperative,
        parameters,
    };
    let owner = Arc::clone(context);
    Ok(Arc::new(move || prepared.run(&owner)))
}

/// All blocks of a cooperative launch must fit the multiprocessors at once.
fn check_residence(function: &Function, context: &Context, shape: Shape) -> CuResult {
    let threads = shape.block.iter().product();
    let each = function.blocks_per_processor(threads, shape.shared_len as usize)?;
    let most = u64::from(each) * context.device().multiprocessors as u64;
    let blocks = shape
        .grid
        .iter()
        .try_fold(1u64, |blocks, &count| blocks.checked_mul(u64::from(count)));
    if blocks.is_none_or(|blocks| blocks > most) {
        return Err(CuError::COOPERATIVE_LAUNCH_TOO_LARGE);
    }
    Ok(())
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
