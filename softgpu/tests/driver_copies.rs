//! Copies of rows and slices, and memsets of rows, against a model of them on the host.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: Result<(), CuError> = Err(CuError::INVALID_VALUE);

/// Numbers that look random, from a seed that a failure names.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(251).to_le_bytes()[0]).collect()
    }
}

fn host(bytes: &[u8]) -> CudaMemcpy3dEnd {
    CudaMemcpy3dEnd {
        kind: CuMemoryType::HOST,
        host: bytes.as_ptr().expose_provenance(),
        ..CudaMemcpy3dEnd::default()
    }
}

fn device(memory: CuDevicePtr, kind: CuMemoryType) -> CudaMemcpy3dEnd {
    CudaMemcpy3dEnd {
        kind,
        device: memory,
        ..CudaMemcpy3dEnd::default()
    }
}

fn offset(end: &CudaMemcpy3dEnd, z: usize, y: usize) -> usize {
    ((end.z + z) * end.height + end.y + y) * end.pitch_bytes + end.x_bytes
}

/// The copy on the host.
fn model(copy: &CudaMemcpy3d, source: &[u8], target: &mut [u8]) {
    for z in 0..copy.depth {
        for y in 0..copy.height {
            let from = offset(&copy.source, z, y);
            let to = offset(&copy.target, z, y);
            target[to..to + copy.width_bytes]
                .copy_from_slice(&source[from..from + copy.width_bytes]);
        }
    }
}

fn flat(end: &CudaMemcpy3dEnd) -> CudaMemcpy2dEnd {
    CudaMemcpy2dEnd {
        x_bytes: end.x_bytes,
        y: end.y,
        kind: end.kind,
        host: end.host,
        device: end.device,
        array: end.array,
        pitch_bytes: end.pitch_bytes,
    }
}

const LEN: usize = 6000;

/// A copy of random shape whose ends fit in `LEN` bytes.
fn shape(random: &mut Random, [source, target]: [CudaMemcpy3dEnd; 2]) -> CudaMemcpy3d {
    let extent = [30, 6, 4].map(|bound| 1 + random.below(bound));
    let mut place = |end: CudaMemcpy3dEnd| {
        let x_bytes = random.below(10);
        let y = random.below(3);
        CudaMemcpy3dEnd {
            x_bytes,
            y,
            z: random.below(2),
            pitch_bytes: x_bytes + extent[0] + random.below(5),
            height: y + extent[1] + random.below(3),
            ..end
        }
    };
    let [width_bytes, height, depth] = extent;
    CudaMemcpy3d {
        source: place(source),
        target: place(target),
        width_bytes,
        height,
        depth,
    }
}

#[test]
fn copies_of_any_shape() {
    alone("copies_of_any_shape", &[], || {
        start();
        let seed = 0x5eed_1234;
        println!("seed {seed:#x}");
        let mut random = Random(seed);
        let stream: CuStream = out(|stream| cuStreamCreate(stream, 0)).unwrap();
        let memory = [allocate(LEN).unwrap(), allocate(LEN).unwrap()];
        for case in 0..300 {
            let (from, before) = (random.bytes(LEN), random.bytes(LEN));
            upload(memory[0], &from).unwrap();
            upload(memory[1], &before).unwrap();
            let mut found = before.clone();
            let kind = [CuMemoryType::DEVICE, CuMemoryType::UNIFIED][random.below(2)];
            let source = [host(&from), device(memory[0], kind)][random.below(2)];
            let target = [host(&found), device(memory[1], kind)][random.below(2)];
            let mut copy = shape(&mut random, [source, target]);
            let two = case % 2 == 0;
            if two {
                copy.depth = 1;
                copy.source.z = 0;
                copy.target.z = 0;
            }
            let mut expected = before;
            model(&copy, &from, &mut expected);
            let flat = CudaMemcpy2d {
                source: flat(&copy.source),
                target: flat(&copy.target),
                width_bytes: copy.width_bytes,
                height: copy.height,
            };
            let done = match (two, random.below(3)) {
                (true, 0) => cuMemcpy2D_v2(&raw const flat),
                (true, 1) => cuMemcpy2DUnaligned_v2(&raw const flat),
                (true, _) => cuMemcpy2DAsync_v2(&raw const flat, stream),
                (false, 0) => cuMemcpy3D_v2(&raw const copy),
                (false, _) => cuMemcpy3DAsync_v2(&raw const copy, stream),
            };
            done.unwrap();
            cuStreamSynchronize(stream).unwrap();
            if target.kind != CuMemoryType::HOST {
                found = download(memory[1], LEN).unwrap();
            }
            assert!(found == expected, "seed {seed:#x}, case {case}: {copy:?}");
        }
    });
}

#[test]
fn what_lies_outside_is_not_copied() {
    alone("what_lies_outside_is_not_copied", &[], || {
        start();
        let bytes = [7u8; 1000];
        let memory = allocate(1000).unwrap();
        cuMemsetD8_v2(memory, 1, 1000).unwrap();
        let good = CudaMemcpy3d {
            source: CudaMemcpy3dEnd {
                pitch_bytes: 10,
                height: 10,
                ..host(&bytes)
            },
            target: CudaMemcpy3dEnd {
                pitch_bytes: 10,
                height: 10,
                ..device(memory, CuMemoryType::DEVICE)
            },
            width_bytes: 10,
            height: 10,
            depth: 10,
        };
        let wrong = |change: &dyn Fn(&mut CudaMemcpy3d)| {
            let mut copy = good;
            change(&mut copy);
            cuMemcpy3D_v2(&raw const copy)
        };
        assert_eq!(wrong(&|copy| copy.depth = 11), BAD, "too deep");
        assert_eq!(wrong(&|copy| copy.target.z = 1), BAD, "beyond the end");
        assert_eq!(wrong(&|copy| copy.target.x_bytes = 1), BAD, "pitch");
        assert_eq!(wrong(&|copy| copy.source.y = 1), BAD, "height of source");
        assert_eq!(wrong(&|copy| copy.target.pitch_bytes = 0), BAD, "no pitch");
        assert_eq!(wrong(&|copy| copy.target.height = 0), BAD, "no height");
        assert_eq!(wrong(&|copy| copy.target.level = 1), BAD, "level");
        assert_eq!(wrong(&|copy| copy.source.kind = CuMemoryType(9)), BAD);
        assert_eq!(wrong(&|copy| copy.source.host = 0), BAD, "null");
        assert_eq!(wrong(&|copy| copy.source.context.0 = 1), BAD, "reserved");
        let long = usize::MAX / 2;
        assert_eq!(wrong(&|copy| copy.source.z = long), BAD, "overflow");
        assert_eq!(wrong(&|copy| copy.width_bytes = long), BAD, "overflow");
        assert_eq!(wrong(&|copy| copy.source.pitch_bytes = 1 << 31), BAD);
        let not_array = wrong(&|copy| copy.source.kind = CuMemoryType::ARRAY);
        assert_eq!(not_array, Err(CuError::INVALID_HANDLE));
        assert_eq!(cuMemcpy3D_v2(std::ptr::null()), BAD);
        assert_eq!(cuMemcpy2D_v2(std::ptr::null()), BAD);
        assert_eq!(download(memory, 1000).unwrap(), [1; 1000], "untouched");
        wrong(&|copy| copy.height = 0).unwrap();
        assert_eq!(download(memory, 1000).unwrap(), [1; 1000], "nothing to do");
        wrong(&|_| {}).unwrap();
        assert_eq!(download(memory, 1000).unwrap(), [7; 1000], "all of it");
        wrong(&|copy| {
            copy.depth = 1;
            (copy.source.height, copy.target.height) = (0, 0);
        })
        .unwrap();
    });
}

#[test]
fn rows_are_filled() {
    alone("rows_are_filled", &[], || {
        start();
        let stream: CuStream = out(|stream| cuStreamCreate(stream, 1)).unwrap();
        let seed = 0xf111;
        println!("seed {seed:#x}");
        let mut random = Random(seed);
        let memory = allocate(LEN).unwrap();
        for case in 0..120 {
            let size = [1, 2, 4][random.below(3)];
            let [width, height] = [20, 9].map(|bound| 1 + random.below(bound));
            let pitch = (width + random.below(5)) * size;
            let first = random.below(8) * size;
            let value = 0x8123_4567u32;
            let mut expected = random.bytes(LEN);
            upload(memory, &expected).unwrap();
            for y in 0..height {
                for x in 0..width {
                    let at = first + y * pitch + x * size;
                    expected[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
                }
            }
            let [a, b, ..] = value.to_le_bytes();
            let (at, short) = (
                CuDevicePtr(memory.0 + first as u64),
                u16::from_le_bytes([a, b]),
            );
            match (size, random.below(2)) {
                (1, 0) => cuMemsetD2D8_v2(at, pitch, a, width, height),
                (1, _) => cuMemsetD2D8Async(at, pitch, a, width, height, stream),
                (2, 0) => cuMemsetD2D16_v2(at, pitch, short, width, height),
                (2, _) => cuMemsetD2D16Async(at, pitch, short, width, height, stream),
                (_, 0) => cuMemsetD2D32_v2(at, pitch, value, width, height),
                (..) => cuMemsetD2D32Async(at, pitch, value, width, height, stream),
            }
            .unwrap();
            cuStreamSynchronize(stream).unwrap();
            let found = download(memory, LEN).unwrap();
            assert!(found == expected, "seed {seed:#x}, case {case}");
        }
        let rows = |address: u64, pitch, width, height| {
            cuMemsetD2D32_v2(CuDevicePtr(address), pitch, 1, width, height)
        };
        assert_eq!(rows(memory.0, 100, 26, 2), BAD, "rows overlap");
        assert_eq!(rows(memory.0 + 2, 100, 5, 2), BAD, "alignment");
        assert_eq!(rows(memory.0, 102, 5, 2), BAD, "alignment of rows");
        assert_eq!(rows(memory.0, 100, 25, 61), BAD, "beyond the end");
        assert_eq!(rows(memory.0, 100, usize::MAX, 2), BAD, "overflow");
        assert_eq!(rows(memory.0, 100, 5, usize::MAX), BAD, "overflow");
        rows(memory.0, 0, 5, 1).unwrap();
        rows(memory.0, 100, 0, 2).unwrap();
    });
}

#[test]
fn peers_copy() {
    alone("peers_copy", &[("SOFTGPU_DEVICES", "2")], || {
        let first = start();
        let there = CuDevice(1);
        let second = out(|context| cuDevicePrimaryCtxRetain(context, there)).unwrap();
        let here = allocate(256).unwrap();
        cuCtxSetCurrent(second).unwrap();
        let away = allocate(256).unwrap();
        let bytes: Vec<u8> = (0..=255).collect();
        upload(away, &bytes).unwrap();
        cuMemcpyPeer(here, first, away, second, 256).unwrap();
        assert_eq!(download(here, 256).unwrap(), bytes);
        assert_eq!(cuMemcpyPeer(here, second, away, second, 256), BAD, "whose");
        let unknown = cuMemcpyPeer(here, CuContext(5), away, second, 256);
        assert_eq!(unknown, Err(CuError::INVALID_CONTEXT));
        assert_eq!(cuMemcpyPeer(here, first, away, second, 257), BAD);
        cuMemsetD8_v2(here, 0, 256).unwrap();
        let end = |memory, context| CudaMemcpy3dEnd {
            context,
            pitch_bytes: 16,
            height: 4,
            ..device(memory, CuMemoryType::DEVICE)
        };
        let mut copy = CudaMemcpy3dPeer(CudaMemcpy3d {
            source: end(away, second),
            target: end(here, first),
            width_bytes: 8,
            height: 2,
            depth: 4,
        });
        cuMemcpy3DPeer(&raw const copy).unwrap();
        let mut expected = vec![0; 256];
        model(&copy.0, &bytes, &mut expected);
        assert_eq!(download(here, 256).unwrap(), expected);
        copy.0.target.context = second;
        let stream = CuStream(0);
        assert_eq!(cuMemcpy3DPeerAsync(&raw const copy, stream), BAD, "whose");
    });
}
