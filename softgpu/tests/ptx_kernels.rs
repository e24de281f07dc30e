//! The kernels that nvcc compiles from `fixtures/core.cu`, in three builds, against plain CPU code.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::{Arg, Gpu, scattered_singles};

const BUILDS: [(&str, &str); 3] = [
    ("plain", include_str!("fixtures/core.ptx")),
    ("debug", include_str!("fixtures/core_debug.ptx")),
    ("fast", include_str!("fixtures/core_fast.ptx")),
];

/// Runs `test` on each build, with one worker and with three.
fn each(test: impl Fn(&Gpu, &str)) {
    for (build, text) in BUILDS {
        for workers in [1, 3] {
            let mut gpu = Gpu::new(text);
            gpu.workers = workers;
            test(&gpu, &format!("{build}, {workers} workers"));
        }
    }
}

fn close(found: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let allowed = tolerance * wanted.abs().max(1.0);
        assert!(
            (found - wanted).abs() <= allowed,
            "{what}: at {at}: {found}, not {wanted}"
        );
    }
}

#[test]
fn vector_add_is_exact_for_odd_sizes() {
    each(|gpu, what| {
        for count in [1usize, 31, 32, 33, 255, 256, 1000, 4097] {
            let (a, b) = (scattered_singles(count, 1), scattered_singles(count, 2));
            let (left, right) = (gpu.upload_singles(&a), gpu.upload_singles(&b));
            // One more than is written, to see that nothing beyond is.
            let sum = gpu.upload_singles(&vec![9.0; count + 1]);
            let blocks = count.div_ceil(256) as u32;
            let arguments = [left, right, sum]
                .map(Arg::Address)
                .into_iter()
                .chain([Arg::Int(count as i32)]);
            let arguments: Vec<Arg> = arguments.collect();
            gpu.launch("vector_add", [blocks, 1, 1], [256, 1, 1], 0, &arguments)
                .unwrap();
            let mut wanted: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            wanted.push(9.0);
            assert_eq!(gpu.singles(sum, count + 1), wanted, "{what}, {count}");
        }
    });
}

#[test]
fn saxpy_is_right_for_every_launch_shape() {
    each(|gpu, what| {
        let count = 3001;
        let (a, b) = (scattered_singles(count, 3), scattered_singles(count, 4));
        let wanted: Vec<f32> = a
            .iter()
            .zip(&b)
            .map(|(x, y)| 2.5f32.mul_add(*x, *y))
            .collect();
        for (grid, block) in [(1, 1), (1, 33), (7, 64), (12, 256), (2, 1024)] {
            let (x, y) = (gpu.upload_singles(&a), gpu.upload_singles(&b));
            let arguments = [
                Arg::Single(2.5),
                Arg::Address(x),
                Arg::Address(y),
                Arg::Long(count as u64),
            ];
            gpu.launch("saxpy", [grid, 1, 1], [block, 1, 1], 0, &arguments)
                .unwrap();
            close(&gpu.singles(y, count), &wanted, 1e-6, what);
        }
    });
}

#[test]
fn matmul_is_right_for_sizes_that_do_not_fit_the_tile() {
    each(|gpu, what| {
        for (rows, columns, inner) in [(1, 1, 1), (8, 8, 8), (17, 9, 23), (40, 33, 12)] {
            let a = scattered_singles(rows * inner, 5);
            let b = scattered_singles(inner * columns, 6);
            let (left, right) = (gpu.upload_singles(&a), gpu.upload_singles(&b));
            let product = gpu.allocate(4 * rows * columns);
            let sizes = [rows, columns, inner].map(|size| Arg::Int(size as i32));
            let arguments: Vec<Arg> = [left, right, product]
                .map(Arg::Address)
                .into_iter()
                .chain(sizes)
                .collect();
            let grid = [columns.div_ceil(8) as u32, rows.div_ceil(8) as u32, 1];
            gpu.launch("matmul_tiled", grid, [8, 8, 1], 0, &arguments)
                .unwrap();
            let mut wanted = vec![0.0f32; rows * columns];
            for row in 0..rows {
                for column in 0..columns {
                    wanted[row * columns + column] = (0..inner)
                        .map(|k| a[row * inner + k] * b[k * columns + column])
                        .sum();
                }
            }
            close(&gpu.singles(product, rows * columns), &wanted, 1e-5, what);
        }
    });
}

#[test]
fn transpose_moves_every_element() {
    each(|gpu, what| {
        for (width, height) in [(16, 16), (1, 50), (37, 21)] {
            let values = scattered_singles(width * height, 7);
            let source = gpu.upload_singles(&values);
            let target = gpu.allocate(4 * width * height);
            let arguments = [
                Arg::Address(source),
                Arg::Address(target),
                Arg::Int(width as i32),
                Arg::Int(height as i32),
            ];
            let grid = [width.div_ceil(16) as u32, height.div_ceil(16) as u32, 1];
            gpu.launch("transpose", grid, [16, 16, 1], 0, &arguments)
                .unwrap();
            let wanted: Vec<f32> = (0..width * height)
                .map(|at| values[at % height * width + at / height])
                .collect();
            assert_eq!(gpu.singles(target, width * height), wanted, "{what}");
        }
    });
}

#[test]
fn block_reduce_adds_in_dynamic_shared_memory() {
    each(|gpu, what| {
        // Small integers add exactly in any order.
        for (count, grid, block) in [
            (1usize, 1, 32),
            (1000, 3, 64),
            (4096, 5, 256),
            (5000, 1, 1024),
        ] {
            let values: Vec<f32> = (0..count).map(|at| (at % 17) as f32).collect();
            let from = gpu.upload_singles(&values);
            let sums = gpu.allocate(4 * grid as usize);
            let arguments = [
                Arg::Address(from),
                Arg::Address(sums),
                Arg::Int(count as i32),
            ];
            gpu.launch(
                "block_reduce",
                [grid, 1, 1],
                [block, 1, 1],
                block * 4,
                &arguments,
            )
            .unwrap();
            let found: f32 = gpu.singles(sums, grid as usize).iter().sum();
            assert_eq!(found, values.iter().sum::<f32>(), "{what}");
        }
    });
}

#[test]
fn layouts_and_attributes_are_those_of_the_declarations() {
    let gpu = Gpu::new(BUILDS[0].1);
    let names: Vec<&str> = gpu.program.kernel_names().collect();
    assert_eq!(names.len(), 5);
    let layout: Vec<(u32, u32)> = (gpu.program.parameters("saxpy").unwrap().iter())
        .map(|place| (place.offset, place.size))
        .collect();
    assert_eq!(layout, [(0, 4), (8, 8), (16, 8), (24, 8)]);
    let kernel = gpu.program.kernel("transpose").unwrap().unwrap();
    assert_eq!(kernel.static_shared_bytes(), 16 * 17 * 4);
    assert_eq!(kernel.parameter_bytes(), 24);
    assert_eq!(kernel.max_threads(), None);
    assert!(kernel.registers() > 4);
    assert!(gpu.program.kernel("nothing").is_none());
}
