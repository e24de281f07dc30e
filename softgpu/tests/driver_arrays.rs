//! Arrays, texture objects and surface objects, and copies to and from arrays.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: Option<CuError> = Some(CuError::INVALID_VALUE);
const GONE: Option<CuError> = Some(CuError::INVALID_HANDLE);

fn described(size: [usize; 3], format: u32, channels: u32, flags: u32) -> CudaArray3dDescriptor {
    let [width, height, depth] = size;
    CudaArray3dDescriptor {
        width,
        height,
        depth,
        format: CuArrayFormat(format),
        channels,
        flags,
    }
}

fn array(size: [usize; 3], format: u32, channels: u32, flags: u32) -> Answer<CuArray> {
    let described = described(size, format, channels, flags);
    out(|array| cuArray3DCreate_v2(array, &raw const described))
}

/// Numbers that look random, from a seed that a failure names.
fn scattered(len: usize, seed: &mut u64) -> Vec<u8> {
    let mut next = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        seed.to_le_bytes()[4]
    };
    (0..len).map(|_| next()).collect()
}

fn below(seed: &mut u64, bound: usize) -> usize {
    usize::from(scattered(1, seed)[0]) % bound
}

#[test]
fn arrays_are_what_they_are_asked_to_be() {
    alone("arrays_are_what_they_are_asked_to_be", &[], || {
        start();
        for (size, flags) in [
            ([7, 0, 0], 0),
            ([7, 5, 0], 2),
            ([7, 5, 3], 0),
            ([7, 0, 3], 1),
            ([7, 5, 3], 1),
            ([6, 6, 6], 4),
            ([6, 6, 12], 5),
            ([6, 6, 0], 8),
        ] {
            for format in [0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x10, 0x20] {
                for channels in [1, 2, 4] {
                    let made = array(size, format, channels, flags).unwrap();
                    let mut found = CudaArray3dDescriptor::default();
                    cuArray3DGetDescriptor_v2(Out(&raw mut found), made).unwrap();
                    assert_eq!(found, described(size, format, channels, flags));
                    cuArrayDestroy(made).unwrap();
                    assert_eq!(cuArrayDestroy(made).err(), GONE, "destroyed twice");
                }
            }
        }
        for (size, format, channels, flags) in [
            ([0, 5, 0], 0x20, 1, 0),
            ([7, 0, 3], 0x20, 1, 0),
            ([7, 5, 0], 0x20, 3, 0),
            ([7, 5, 0], 0x21, 1, 0),
            ([7, 6, 6], 0x20, 1, 4),
            ([6, 6, 5], 0x20, 1, 4),
            ([6, 6, 7], 0x20, 1, 5),
            ([6, 6, 0], 0x20, 1, 1),
            ([6, 6, 6], 0x20, 1, 8),
            ([200_000, 0, 0], 0x20, 1, 0),
            ([200_000, 2, 0], 0x20, 1, 0),
            ([20_000, 2, 2], 0x20, 1, 0),
            ([6, 6, 0], 0x20, 1, 0x1000),
        ] {
            let made = array(size, format, channels, flags);
            assert_eq!(made.err(), BAD, "{size:?} {format} {channels} {flags}");
        }
        let large = array([16_384, 16_384, 16], 0x20, 4, 0);
        assert_eq!(large, Err(CuError::OUT_OF_MEMORY));
        let sparse = array([64, 64, 0], 0x20, 1, 0x40);
        assert_eq!(sparse, Err(CuError::NOT_SUPPORTED));
        let null = out::<CuArray>(|array| cuArray3DCreate_v2(array, std::ptr::null()));
        assert_eq!(null.err(), BAD);
    });
}

#[test]
fn arrays_are_memory_of_their_context() {
    alone("arrays_are_memory_of_their_context", &[], || {
        let context = start();
        let free = || {
            let (mut free, mut all) = (0, 0);
            cuMemGetInfo_v2(Out(&raw mut free), Out(&raw mut all)).unwrap();
            free
        };
        let before = free();
        let made = array([1000, 1000, 0], 0x20, 1, 0).unwrap();
        assert!(before - free() >= 4_000_000);
        cuArrayDestroy(made).unwrap();
        assert_eq!(free(), before);
        let description = described([64, 32, 0], 0x20, 1, 2);
        let mipmap: CuMipmappedArray =
            out(|mipmap| cuMipmappedArrayCreate(mipmap, &raw const description, 99)).unwrap();
        let level = |number| out(|level| cuMipmappedArrayGetLevel(level, mipmap, number));
        let mut found = CudaArrayDescriptor::default();
        cuArrayGetDescriptor_v2(Out(&raw mut found), level(6).unwrap()).unwrap();
        assert_eq!((found.width, found.height), (1, 1));
        cuArrayGetDescriptor_v2(Out(&raw mut found), level(1).unwrap()).unwrap();
        assert_eq!((found.width, found.height), (32, 16));
        assert_eq!(level(7).err(), BAD, "seven levels are all there can be");
        let first: CuArray = level(0).unwrap();
        assert_eq!(cuArrayDestroy(first).err(), GONE, "not one of its own");
        cuMipmappedArrayDestroy(mipmap).unwrap();
        assert_eq!(
            cuArrayGetDescriptor_v2(Out(&raw mut found), first).err(),
            GONE
        );
        assert_eq!(free(), before);
        let kept = array([8, 8, 0], 0x20, 1, 0).unwrap();
        cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
        cuCtxSetCurrent(context).unwrap();
        assert_eq!(
            cuArrayGetDescriptor_v2(Out(&raw mut found), kept).err(),
            GONE
        );
        assert_eq!(free(), before);
    });
}

fn end(kind: CuMemoryType) -> CudaMemcpy3dEnd {
    CudaMemcpy3dEnd {
        kind,
        ..CudaMemcpy3dEnd::default()
    }
}

fn to_array(array: CuArray, [x_bytes, y, z]: [usize; 3]) -> CudaMemcpy3dEnd {
    CudaMemcpy3dEnd {
        array,
        x_bytes,
        y,
        z,
        ..end(CuMemoryType::ARRAY)
    }
}

fn between(
    source: CudaMemcpy3dEnd,
    target: CudaMemcpy3dEnd,
    [width_bytes, height, depth]: [usize; 3],
) -> CudaMemcpy3d {
    CudaMemcpy3d {
        source,
        target,
        width_bytes,
        height,
        depth,
    }
}

/// Puts rows of `width` bytes, `rows` to a slice, where an array's copy puts them in an image of
/// `pitch` bytes a row and `height` rows a slice.
fn paste(
    image: &mut [u8],
    bytes: &[u8],
    at: &CudaMemcpy3dEnd,
    [width, rows, pitch, height]: [usize; 4],
) {
    for (index, row) in bytes.chunks(width).enumerate() {
        let (z, y) = (at.z + index / rows, at.y + index % rows);
        let start = (z * height + y) * pitch + at.x_bytes;
        image[start..start + width].copy_from_slice(row);
    }
}

/// The same copy is refused one step too far right, too deep, or with part of a texel.
fn refused(copy: &CudaMemcpy3d, [x_bytes, z]: [usize; 2]) {
    let wrong = |change: &dyn Fn(&mut CudaMemcpy3d)| {
        let mut copy = *copy;
        change(&mut copy);
        cuMemcpy3D_v2(&raw const copy).err()
    };
    assert_eq!(wrong(&|copy| copy.target.z = z), BAD);
    assert_eq!(wrong(&|copy| copy.target.x_bytes = x_bytes), BAD);
    assert_eq!(wrong(&|copy| copy.width_bytes -= 1), BAD, "torn texel");
}

#[test]
fn copies_reach_every_texel() {
    alone("copies_reach_every_texel", &[], || {
        start();
        let mut seed = 0xa77a;
        println!("seed {seed:#x}");
        for case in 0..150 {
            let channels = [1, 2, 4][below(&mut seed, 3)];
            let texel = 2 * channels;
            let size = [1, 1, 1].map(|least| least + below(&mut seed, 9));
            let layered = u32::from(below(&mut seed, 2) == 0);
            let made = array(size, 0x02, u32::try_from(channels).unwrap(), layered).unwrap();
            let [width, height, depth] = size;
            let (row, len) = (width * texel, width * texel * height * depth);
            let mut expected = scattered(len, &mut seed);
            let whole = between(
                CudaMemcpy3dEnd {
                    host: expected.as_ptr().expose_provenance(),
                    pitch_bytes: row,
                    height,
                    ..end(CuMemoryType::HOST)
                },
                to_array(made, [0; 3]),
                [row, height, depth],
            );
            cuMemcpy3D_v2(&raw const whole).unwrap();
            let part = size.map(|size| 1 + below(&mut seed, size));
            let first: [usize; 3] =
                std::array::from_fn(|axis| below(&mut seed, size[axis] - part[axis] + 1));
            let bytes = scattered(part[0] * part[1] * part[2] * texel, &mut seed);
            let memory = allocate(bytes.len()).unwrap();
            upload(memory, &bytes).unwrap();
            let some = between(
                CudaMemcpy3dEnd {
                    device: memory,
                    pitch_bytes: part[0] * texel,
                    height: part[1],
                    ..end(CuMemoryType::DEVICE)
                },
                to_array(made, [first[0] * texel, first[1], first[2]]),
                [part[0] * texel, part[1], part[2]],
            );
            cuMemcpy3DAsync_v2(&raw const some, CuStream(0)).unwrap();
            paste(
                &mut expected,
                &bytes,
                &some.target,
                [part[0] * texel, part[1], row, height],
            );
            let mut found = vec![0u8; len];
            let back = CudaMemcpy3d {
                source: whole.target,
                target: CudaMemcpy3dEnd {
                    host: found.as_mut_ptr().expose_provenance(),
                    ..whole.source
                },
                ..whole
            };
            cuMemcpy3D_v2(&raw const back).unwrap();
            assert!(
                found == expected,
                "case {case}: {size:?} {part:?} {first:?}"
            );
            refused(&some, [(width - part[0] + 1) * texel, depth - part[2] + 1]);
            cuMemFree_v2(memory).unwrap();
            cuArrayDestroy(made).unwrap();
        }
    });
}

#[test]
fn rows_of_arrays_are_copied() {
    alone("rows_of_arrays_are_copied", &[], || {
        start();
        let [one, other] = [0; 2].map(|_| array([100, 0, 0], 0x01, 1, 0).unwrap());
        let bytes: Vec<u8> = (0..100).collect();
        let mut found = [0u8; 100];
        cuMemcpyHtoA_v2(one, 0, bytes.as_ptr().cast(), 100).unwrap();
        cuMemcpyAtoA_v2(other, 10, one, 50, 40).unwrap();
        let memory = allocate(100).unwrap();
        cuMemcpyAtoD_v2(memory, other, 0, 100).unwrap();
        cuMemcpyDtoA_v2(one, 1, memory, 99).unwrap();
        cuMemcpyAtoH_v2(found.as_mut_ptr().cast(), one, 0, 100).unwrap();
        let mut expected = vec![0; 11];
        expected.extend(50..90);
        expected.extend([0; 49]);
        assert_eq!(found[..], expected[..], "fresh arrays are zero");
        cuMemcpyHtoAAsync_v2(one, 3, bytes.as_ptr().cast(), 9, CuStream(0)).unwrap();
        cuMemcpyAtoHAsync_v2(found.as_mut_ptr().cast(), one, 3, 9, CuStream(0)).unwrap();
        cuStreamSynchronize(CuStream(0)).unwrap();
        assert_eq!(found[..9], bytes[..9]);
        assert_eq!(cuMemcpyDtoA_v2(one, 2, memory, 99).err(), BAD);
        assert_eq!(cuMemcpyAtoD_v2(memory, one, usize::MAX, 2).err(), BAD);
        assert_eq!(cuMemcpyAtoD_v2(memory, CuArray(memory.0), 0, 2).err(), GONE);
    });
}

/// Reads texels 0 to 3 of a row by index, and stores 7 to the first byte of a surface.
const KERNELS: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .entry read(.param .u64 texture, .param .u64 target)
{
    .reg .u64 %rd<4>; .reg .b32 %r<8>; .reg .f32 %f<2>;
    ld.param.u64 %rd1, [texture];
    ld.param.u64 %rd2, [target];
    mov.u32 %r1, %tid.x;
    tex.1d.v4.u32.s32 {%r2, %r3, %r4, %r5}, [%rd1, {%r1}];
    mad.wide.u32 %rd3, %r1, 4, %rd2;
    st.global.u32 [%rd3], %r2;
    ret;
}
.visible .entry write(.param .u64 surface, .param .s32 x)
{
    .reg .u64 %rd<2>; .reg .b32 %r<3>; .reg .b16 %rs<2>;
    ld.param.u64 %rd1, [surface];
    ld.param.s32 %r1, [x];
    mov.u32 %r2, 0;
    mov.u16 %rs1, 7;
    sust.b.2d.b8.trap [%rd1, {%r1, %r2}], {%rs1};
    ret;
}
";

fn texture(resource: &CudaResourceDesc) -> Answer<CuTexObject> {
    let reading = CudaTextureDesc {
        address_mode: [CuAddressMode(1); 3],
        flags: 1,
        ..CudaTextureDesc::default()
    };
    let none = std::ptr::null();
    out(|object| cuTexObjectCreate(object, resource, &raw const reading, none))
}

fn surface(resource: &CudaResourceDesc) -> Answer<CuSurfObject> {
    out(|object| cuSurfObjectCreate(object, resource))
}

#[test]
fn objects_say_what_they_are() {
    alone("objects_say_what_they_are", &[], || {
        start();
        let memory = allocate(4096).unwrap();
        let words = |address| CudaResourceMemory {
            address,
            format: CuArrayFormat(0x03),
            channels: 1,
        };
        let linear = CudaResourceDesc::memory(2, words(memory), &[64]);
        let object = texture(&linear).unwrap();
        let mut found = CudaResourceDesc::default();
        cuTexObjectGetResourceDesc(Out(&raw mut found), object).unwrap();
        assert_eq!(found, linear);
        let mut reading = CudaTextureDesc::default();
        cuTexObjectGetTextureDesc(Out(&raw mut reading), object).unwrap();
        assert_eq!((reading.flags, reading.address_mode[2].0), (1, 1));
        let view = out::<CudaResourceViewDesc>(|view| cuTexObjectGetResourceViewDesc(view, object));
        assert_eq!(view.err(), BAD, "it has none");
        let odd = CuDevicePtr(memory.0 + 4);
        for (kind, at, sizes) in [
            (2, odd, vec![64]),
            (2, memory, vec![0]),
            (2, memory, vec![5000]),
            (3, memory, vec![16, 4, 48]),
            (3, memory, vec![16, 4, 80]),
            (3, memory, vec![16, 100, 64]),
            (4, memory, vec![64]),
        ] {
            let resource = CudaResourceDesc::memory(kind, words(at), &sizes);
            assert_eq!(texture(&resource).err(), BAD, "{kind} {sizes:?}");
        }
        texture(&CudaResourceDesc::memory(3, words(memory), &[16, 4, 64])).unwrap();
        let blended = CudaTextureDesc {
            filter_mode: CuFilterMode(1),
            ..reading
        };
        let none = std::ptr::null();
        let integers: Answer<CuTexObject> =
            out(|object| cuTexObjectCreate(object, &raw const linear, &raw const blended, none));
        assert_eq!(integers.err(), BAD, "integers cannot be blended");
        let plain = array([8, 8, 0], 0x03, 1, 0).unwrap();
        let stored = array([8, 8, 0], 0x03, 1, 2).unwrap();
        let of = |array: CuArray| CudaResourceDesc::array(0, array.0);
        assert_eq!(surface(&of(plain)).err(), BAD, "not made for it");
        assert_eq!(surface(&of(CuArray(5))).err(), GONE);
        assert_eq!(surface(&linear).err(), BAD);
        let object = surface(&of(stored)).unwrap();
        cuSurfObjectGetResourceDesc(Out(&raw mut found), object).unwrap();
        assert_eq!(found, of(stored));
        cuSurfObjectDestroy(object).unwrap();
        assert_eq!(cuSurfObjectDestroy(object).err(), BAD);
    });
}

#[test]
fn a_view_shows_a_part() {
    alone("a_view_shows_a_part", &[], || {
        start();
        let layers = array([4, 1, 3], 0x03, 1, 1).unwrap();
        let resource = CudaResourceDesc::array(0, layers.0);
        let reading = CudaTextureDesc {
            flags: 1,
            ..CudaTextureDesc::default()
        };
        let see = |view: &CudaResourceViewDesc| -> Answer<CuTexObject> {
            out(|object| cuTexObjectCreate(object, &raw const resource, &raw const reading, view))
        };
        let view = CudaResourceViewDesc {
            format: 0x0d,
            width: 4,
            height: 1,
            depth: 3,
            first_layer: 1,
            last_layer: 2,
            ..CudaResourceViewDesc::default()
        };
        let object = see(&view).unwrap();
        let found = out(|view| cuTexObjectGetResourceViewDesc(view, object));
        assert_eq!(found, Ok(view));
        for wrong in [
            CudaResourceViewDesc {
                last_layer: 3,
                ..view
            },
            CudaResourceViewDesc {
                last_level: 1,
                ..view
            },
            CudaResourceViewDesc {
                format: 0x01,
                ..view
            },
            CudaResourceViewDesc { width: 5, ..view },
        ] {
            assert_eq!(see(&wrong).err(), BAD, "{wrong:?}");
        }
    });
}

#[test]
fn kernels_use_handles_and_nothing_else() {
    alone("kernels_use_handles_and_nothing_else", &[], || {
        start();
        let module = load(KERNELS).unwrap();
        let (read, write) = (function(module, "read"), function(module, "write"));
        let memory = allocate(16).unwrap();
        upload(memory, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]).unwrap();
        let words = CudaResourceMemory {
            address: memory,
            format: CuArrayFormat(0x03),
            channels: 1,
        };
        let object = texture(&CudaResourceDesc::memory(2, words, &[12])).unwrap();
        let target = allocate(16).unwrap();
        let (one, four, stream) = ([1, 1, 1], [4, 1, 1], CuStream(0));
        launch_shape(read.unwrap(), one, four, 0, stream, &[object.0, target.0]).unwrap();
        let expected = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(download(target, 16).unwrap(), expected);
        let stored = array([4, 2, 0], 0x01, 1, 2).unwrap();
        let object = surface(&CudaResourceDesc::array(0, stored.0)).unwrap();
        launch(write.unwrap(), stream, &[object.0, 3]).unwrap();
        let mut found = [0u8; 4];
        cuMemcpyAtoH_v2(found.as_mut_ptr().cast(), stored, 0, 4).unwrap();
        assert_eq!(found, [0, 0, 0, 7]);
        launch(write.unwrap(), stream, &[object.0, 4]).unwrap();
        let outside = cuCtxSynchronize();
        assert_eq!(outside, Err(CuError::LAUNCH_FAILED), "trap");
    });
}

#[test]
fn a_dead_handle_poisons_the_context_only() {
    alone("a_dead_handle_poisons_the_context_only", &[], || {
        start();
        let module = load(KERNELS).unwrap();
        let read = function(module, "read").unwrap();
        let target = allocate(16).unwrap();
        launch(read, CuStream(0), &[target.0, target.0]).unwrap();
        let illegal = Err(CuError::ILLEGAL_ADDRESS);
        assert_eq!(cuCtxSynchronize(), illegal);
        assert_eq!(allocate(16).map(drop), illegal, "sticky");
        cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
        allocate(16).unwrap();
    });
}
