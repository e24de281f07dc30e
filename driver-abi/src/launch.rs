//! What a driver refuses at a launch before any work is queued.
//!
//! A launch may be posted only because its argument errors can be proved without asking: the shim
//! and softgpu use this one check, so that both give the same code at the same call (CUDA Driver
//! API, "Execution control", `cuLaunchKernel`).

/// `CUDA_ERROR_INVALID_VALUE`.
pub const INVALID_VALUE: u32 = 1;
/// `CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES`.
pub const LAUNCH_OUT_OF_RESOURCES: u32 = 701;

/// Shape of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads in x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub shared_len: u32,
}

/// What a device takes, from its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Attributes 5, 6, 7.
    pub grid_max: [u32; 3],
    /// Attributes 2, 3, 4.
    pub block_max: [u32; 3],
    /// Attribute 1.
    pub threads_max: u32,
}

/// What a function takes, from its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionLimits {
    /// Attribute 0: registers and launch bounds permit this many threads of a block.
    pub threads_max: u32,
    /// Attribute 8: dynamic shared memory in bytes that the function may ask for.
    pub dynamic_shared_len_max: u32,
}

/// Checks a launch against the device and the function.
///
/// # Errors
/// The `CUresult` that a driver returns: [`INVALID_VALUE`] for a shape that the device cannot have
/// or too much dynamic shared memory, [`LAUNCH_OUT_OF_RESOURCES`] for more threads than the
/// function takes.
pub fn check(shape: Shape, device: DeviceLimits, function: FunctionLimits) -> Result<(), u32> {
    let fits = |sizes: [u32; 3], most: [u32; 3]| {
        sizes
            .iter()
            .zip(most)
            .all(|(&size, most)| size > 0 && size <= most)
    };
    if !fits(shape.grid, device.grid_max) || !fits(shape.block, device.block_max) {
        return Err(INVALID_VALUE);
    }
    let threads: u64 = shape.block.iter().map(|&size| u64::from(size)).product();
    if threads > u64::from(device.threads_max) {
        return Err(INVALID_VALUE);
    }
    if shape.shared_len > function.dynamic_shared_len_max {
        return Err(INVALID_VALUE);
    }
    if threads > u64::from(function.threads_max) {
        return Err(LAUNCH_OUT_OF_RESOURCES);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceLimits = DeviceLimits {
        grid_max: [i32::MAX.unsigned_abs(), 65_535, 65_535],
        block_max: [1024, 1024, 64],
        threads_max: 1024,
    };
    const FUNCTION: FunctionLimits = FunctionLimits {
        threads_max: 512,
        dynamic_shared_len_max: 49_152,
    };

    fn shape(grid: [u32; 3], block: [u32; 3], shared_len: u32) -> Result<(), u32> {
        check(
            Shape {
                grid,
                block,
                shared_len,
            },
            DEVICE,
            FUNCTION,
        )
    }

    #[test]
    fn each_limit_has_its_code() {
        assert_eq!(shape([1, 1, 1], [512, 1, 1], 49_152), Ok(()));
        assert_eq!(shape([0, 1, 1], [32, 1, 1], 0), Err(INVALID_VALUE));
        assert_eq!(shape([1, 65_536, 1], [32, 1, 1], 0), Err(INVALID_VALUE));
        assert_eq!(shape([1, 1, 1], [1025, 1, 1], 0), Err(INVALID_VALUE));
        assert_eq!(shape([1, 1, 1], [32, 32, 2], 0), Err(INVALID_VALUE));
        assert_eq!(shape([1, 1, 1], [1, 1, 65], 0), Err(INVALID_VALUE));
        assert_eq!(
            shape([1, 1, 1], [513, 1, 1], 0),
            Err(LAUNCH_OUT_OF_RESOURCES)
        );
        assert_eq!(shape([1, 1, 1], [32, 1, 1], 49_153), Err(INVALID_VALUE));
    }
}
