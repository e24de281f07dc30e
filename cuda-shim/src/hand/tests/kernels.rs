//! Images, kernels and launches against a worker that keeps what it was sent.

use super::*;
use flexdirect_wire::body::{ImageLoad, ImagePiece, Launch, LaunchAttribute, session};

#[test]
fn an_image_goes_over_once_and_its_kernel_is_known() {
    let fake = Fake::start();
    let ptx = format!(
        ".version 8.0\n.target sm_80\n// {}\n\0",
        "x".repeat(2 * CHUNK_LEN)
    );
    let image = InBytes(ptx.as_ptr().cast::<c_void>().cast_mut());
    let module = out(|module| hand::cuModuleLoadData(module, image)).unwrap();
    let seen = fake.seen(4);
    let pieces: Vec<ImagePiece> = seen[..3]
        .iter()
        .map(|seen| {
            assert_eq!(seen.op(), session::IMAGE_PIECE);
            seen.reader().get().unwrap()
        })
        .collect();
    assert_eq!(
        pieces.iter().map(|piece| piece.first).collect::<Vec<_>>(),
        [1, 0, 0]
    );
    let load: ImageLoad = seen[3].reader().get().unwrap();
    assert_eq!(load.len, pieces.iter().map(|piece| piece.len).sum::<u64>());

    let find = |name: &std::ffi::CStr| {
        out(|found| hand::cuModuleGetFunction(found, module, InStr(name.as_ptr().cast_mut())))
    };
    let function = find(c"kernel").unwrap();
    assert_eq!(find(c"kernel"), Ok(function));
    assert_eq!(fake.count(op::cuModuleGetFunction), 1, "asked for once");
    fake.fail(op::cuModuleGetFunction, 500);
    assert_eq!(find(c"other"), Err(CuError::NOT_FOUND));
    let threads = out(|value| local::cuFuncGetAttribute(value, CuFunctionAttribute(0), function));
    assert_eq!(threads, Ok(256));
    hand::cuFuncSetAttribute(function, CuFunctionAttribute(8), 2000).unwrap();
    let shared = out(|value| local::cuFuncGetAttribute(value, CuFunctionAttribute(8), function));
    assert_eq!(shared, Ok(2000));
    hand::cuModuleUnload(module).unwrap();
    assert_eq!(find(c"kernel"), Err(CuError::INVALID_HANDLE));
    let gone = out(|value| local::cuFuncGetAttribute(value, CuFunctionAttribute(0), function));
    assert_eq!(gone, Err(CuError::INVALID_HANDLE));
    let bad = InBytes(b"what is this".as_ptr().cast::<c_void>().cast_mut());
    let refused = out(|module| hand::cuModuleLoadData(module, bad));
    assert_eq!(refused, Err(CuError::INVALID_IMAGE));
}

#[test]
fn a_library_outlives_what_it_had_in_a_context() {
    let fake = Fake::start();
    let device = CuDevice(0);
    out(|context| hand::cuDevicePrimaryCtxRetain(context, device)).unwrap();
    let none: *mut c_void = ptr::null_mut();
    let library = library();
    let global = || {
        let name = InStr(c"table".as_ptr().cast_mut());
        out(|at| hand::cuLibraryGetGlobal(at, Out(none.cast()), library, name)).unwrap()
    };
    let before = global();
    assert_eq!(global(), before);
    assert_eq!(fake.count(op::cuLibraryGetGlobal), 1);
    hand::cuDevicePrimaryCtxReset_v2(device).unwrap();
    out(|context| hand::cuDevicePrimaryCtxRetain(context, device)).unwrap();
    let after = global();
    assert_ne!(after, before, "asked for again, for it lies elsewhere now");
    assert_eq!(hand::cuMemsetD8_v2(after, 0, 4), Ok(()));
}

#[test]
fn a_kernel_hands_its_attributes_to_its_function() {
    let fake = Fake::start();
    let none: *mut c_void = ptr::null_mut();
    let library = library();
    let name = InStr(c"kernel".as_ptr().cast_mut());
    let kernel = out(|kernel| hand::cuLibraryGetKernel(kernel, library, name)).unwrap();
    let function = out(|function| hand::cuKernelGetFunction(function, kernel)).unwrap();
    let mut value = 0u64;
    let mut parameters = [(&raw mut value).cast::<c_void>(), (&raw mut value).cast()];
    let mut run = || launch(function, 32, 4000, parameters.as_mut_ptr(), none.cast());
    assert_eq!(run(), Err(CuError::INVALID_VALUE));
    hand::cuKernelSetAttribute(CuFunctionAttribute(8), 4000, kernel, CuDevice(0)).unwrap();
    assert_eq!(run(), Ok(()));
    drop(fake);
}

fn library() -> CuLibrary {
    let image = InBytes(c".version 8.0\n".as_ptr().cast::<c_void>().cast_mut());
    let none: *mut c_void = ptr::null_mut();
    let (options, values) = (Out(none.cast()), none.cast());
    let load = |library| {
        hand::cuLibraryLoadData(
            library,
            image,
            options,
            values,
            0,
            Out(none.cast()),
            values,
            0,
        )
    };
    out(load).unwrap()
}

fn kernel() -> CuFunction {
    let image = InBytes(c".version 8.0\n".as_ptr().cast::<c_void>().cast_mut());
    let module = out(|module| hand::cuModuleLoadData(module, image)).unwrap();
    let name = InStr(c"kernel".as_ptr().cast_mut());
    out(|found| hand::cuModuleGetFunction(found, module, name)).unwrap()
}

fn launch(
    function: CuFunction,
    block: u32,
    shared: u32,
    parameters: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CuResult {
    hand::cuLaunchKernel(
        function,
        1,
        1,
        1,
        block,
        1,
        1,
        shared,
        CuStream(0),
        parameters,
        extra,
    )
}

#[test]
fn parameters_are_packed_by_the_layout() {
    let fake = Fake::start();
    let function = kernel();
    let (mut number, mut pointer) = (0x1122_3344u32, 0x5566_7788_99aa_bbccu64);
    let mut parameters = [
        (&raw mut number).cast::<c_void>(),
        (&raw mut pointer).cast(),
    ];
    launch(function, 32, 0, parameters.as_mut_ptr(), ptr::null_mut()).unwrap();
    let mut packed = [0u8; 16];
    packed[..4].copy_from_slice(&number.to_le_bytes());
    packed[8..].copy_from_slice(&pointer.to_le_bytes());
    let mut len = packed.len();
    let mut extra = [
        ptr::without_provenance_mut(1),
        packed.as_mut_ptr().cast::<c_void>(),
        ptr::without_provenance_mut(2),
        (&raw mut len).cast(),
        ptr::null_mut(),
    ];
    launch(function, 32, 0, ptr::null_mut(), extra.as_mut_ptr()).unwrap();
    hand::cuCtxSynchronize().unwrap();
    let seen = fake.seen(1);
    let launches: Vec<_> = seen
        .iter()
        .filter(|seen| seen.op() == op::cuLaunchKernel)
        .collect();
    assert_eq!(launches.len(), 2);
    for launch in launches {
        let mut body = launch.reader();
        let head: Launch = body.get().unwrap();
        assert_eq!(head.function, function.0);
        assert_eq!(head.parameters_len, 16);
        assert_eq!(body.bytes().unwrap(), packed);
    }
}

#[test]
fn a_bad_launch_fails_at_the_call() {
    let fake = Fake::start();
    let function = kernel();
    let mut value = 0u64;
    let mut parameters = [(&raw mut value).cast::<c_void>(), (&raw mut value).cast()];
    let parameters = parameters.as_mut_ptr();
    let none = ptr::null_mut();
    let invalid = Err(CuError::INVALID_VALUE);
    assert_eq!(launch(function, 0, 0, parameters, none), invalid);
    assert_eq!(launch(function, 1025, 0, parameters, none), invalid);
    let too_many = launch(function, 257, 0, parameters, none);
    assert_eq!(too_many, Err(CuError::LAUNCH_OUT_OF_RESOURCES));
    assert_eq!(launch(function, 32, 1001, parameters, none), invalid);
    assert_eq!(
        launch(function, 32, 0, none, none),
        invalid,
        "parameters are missing"
    );
    let unknown = launch(CuFunction(99), 32, 0, parameters, none);
    assert_eq!(unknown, Err(CuError::INVALID_HANDLE));
    assert_eq!(fake.count(op::cuLaunchKernel), 0);
    assert_eq!(launch(function, 256, 1000, parameters, none), Ok(()));
}

#[test]
fn launch_attributes_cross_by_value() {
    let fake = Fake::start();
    let function = kernel();
    let mut value = 0u64;
    let mut parameters = [(&raw mut value).cast::<c_void>(), (&raw mut value).cast()];
    let mut run = |id: u32, first: u64| {
        // The layout of CUlaunchAttribute: identifier, padding, 64 bytes of value.
        let mut attribute = [0u64; 9];
        attribute[0] = u64::from(id);
        attribute[1] = first;
        let config = CuLaunchConfig {
            grid: [1; 3],
            block: [32, 1, 1],
            shared_mem_bytes: 0,
            stream: CuStream(0),
            attrs: attribute.as_mut_ptr().cast(),
            num_attrs: 1,
        };
        hand::cuLaunchKernelEx(
            &raw const config,
            function,
            parameters.as_mut_ptr(),
            ptr::null_mut(),
        )
    };
    run(4, 2).unwrap();
    let seen = fake.seen(1);
    let last = seen.last().unwrap();
    assert_eq!(last.op(), op::cuLaunchKernelEx);
    assert_eq!(last.header.flags, 1, "what cannot be proved is awaited");
    let mut body = last.reader();
    let head: Launch = body.get().unwrap();
    body.bytes().unwrap();
    let attribute: LaunchAttribute = body.get().unwrap();
    assert_eq!(
        (head.attributes, attribute.id, attribute.value[0]),
        (1, 4, 2)
    );
    assert_eq!(run(2, 0), Ok(()), "not cooperative");
    assert_eq!(run(2, 1), Ok(()), "cooperative");
    assert_eq!(
        run(7, 0),
        Err(CuError::NOT_SUPPORTED),
        "an event does not cross by value"
    );
}
