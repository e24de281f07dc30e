//! The kernels of `fixtures/more.cu`: warps, atomics, locks, doubles, calls, printf, halves.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::{Arg, Gpu, scattered, scattered_singles};
use softgpu_cuda::exec::Fault;

const BUILDS: [(&str, &str); 2] = [
    ("plain", include_str!("fixtures/more.ptx")),
    ("debug", include_str!("fixtures/more_debug.ptx")),
];

fn each(test: impl Fn(&Gpu, &str)) {
    for (build, text) in BUILDS {
        for workers in [1, 3] {
            let mut gpu = Gpu::new(text);
            gpu.workers = workers;
            test(&gpu, &format!("{build}, {workers} workers"));
        }
    }
}

const ONE: [u32; 3] = [1, 1, 1];

fn threads(count: u32) -> [u32; 3] {
    [count, 1, 1]
}

#[test]
fn shuffles_and_ballots_reduce_a_warp() {
    each(|gpu, what| {
        let values = scattered(1000, 1);
        let (from, to) = (gpu.upload_words(&values), gpu.allocate(4 * 32));
        let arguments = [Arg::Address(from), Arg::Address(to), Arg::Int(1000)];
        gpu.launch("warp_sum", threads(4), threads(256), 0, &arguments)
            .unwrap();
        let wanted: Vec<u32> = (0..32)
            .map(|warp| {
                let part = &values[(warp * 32).min(1000)..((warp + 1) * 32).min(1000)];
                part.iter().fold(0u32, |sum, one| sum.wrapping_add(*one))
            })
            .collect();
        assert_eq!(gpu.words(to, 32), wanted, "{what}");
    });
}

#[test]
fn halves_of_a_diverged_warp_shuffle_among_themselves() {
    each(|gpu, what| {
        let to = gpu.allocate(128);
        gpu.launch("diverged_shuffle", ONE, threads(32), 0, &[Arg::Address(to)])
            .unwrap();
        let wanted: Vec<u32> = (0..32)
            .map(|lane| {
                if lane < 16 {
                    (lane ^ 5) * 3
                } else {
                    (lane ^ 9) * 7
                }
            })
            .collect();
        assert_eq!(gpu.words(to, 32), wanted, "{what}");
    });
}

#[test]
fn shared_and_global_atomics_count_bytes() {
    each(|gpu, what| {
        let bytes: Vec<u8> = scattered(3000, 2)
            .into_iter()
            .map(|one| (one >> 24) as u8)
            .collect();
        let (from, bins) = (gpu.upload(&bytes), gpu.allocate(1024));
        let arguments = [Arg::Address(from), Arg::Address(bins), Arg::Int(3000)];
        gpu.launch("histogram", threads(5), threads(96), 0, &arguments)
            .unwrap();
        let mut wanted = vec![0u32; 256];
        bytes
            .iter()
            .for_each(|&byte| wanted[usize::from(byte)] += 1);
        assert_eq!(gpu.words(bins, 256), wanted, "{what}");
    });
}

#[test]
fn a_spin_lock_within_a_warp_makes_progress() {
    each(|gpu, what| {
        let (lock, total) = (gpu.allocate(4), gpu.allocate(4));
        let arguments = [Arg::Address(lock), Arg::Address(total)];
        gpu.launch("spin_lock", threads(2), threads(64), 0, &arguments)
            .unwrap();
        assert_eq!(gpu.words(total, 1), [128], "{what}");
    });
}

#[test]
fn module_variables_keep_their_values_between_launches() {
    each(|gpu, what| {
        let out = gpu.allocate(64);
        for _ in 0..2 {
            gpu.launch(
                "count_calls",
                threads(3),
                threads(8),
                0,
                &[Arg::Address(out)],
            )
            .unwrap();
        }
        // 7, and each launch adds 3 * 2 * (6 + 3 + 8 + 1).
        assert_eq!(gpu.words(gpu.global("counter"), 1), [7 + 2 * 108], "{what}");
    });
}

#[test]
fn doubles_agree_with_the_host() {
    each(|gpu, what| {
        let values: Vec<f64> = scattered_singles(200, 3)
            .into_iter()
            .map(|one| f64::from(one) * 4.0)
            .collect();
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        let (from, to, whole) = (
            gpu.upload_longs(&bits),
            gpu.allocate(1600),
            gpu.allocate(1600),
        );
        let arguments = [
            Arg::Address(from),
            Arg::Address(to),
            Arg::Address(whole),
            Arg::Int(200),
        ];
        gpu.launch("doubles", threads(2), threads(128), 0, &arguments)
            .unwrap();
        let (found, whole) = (gpu.longs(to, 200), gpu.longs(whole, 200));
        for (at, value) in values.iter().enumerate() {
            let wanted = value.sin() * (-value * value).exp()
                + value.abs().sqrt() / (1.0 + value * value)
                + value.abs().powf(0.3);
            let found = f64::from_bits(found[at]);
            assert!(
                (found - wanted).abs() <= 1e-13 * wanted.abs().max(1.0),
                "{what}: {at}"
            );
            let product = (i128::from(at as i64) << 40) * (i128::from(at as i64) << 30);
            let wanted = (value * 1e6) as i64 / (at as i64 + 1) % 1000 + (product >> 64) as i64;
            assert_eq!(whole[at] as i64, wanted, "{what}: {at}");
        }
    });
}

#[test]
fn calls_recurse_return_aggregates_and_go_through_tables() {
    each(|gpu, what| {
        let to = gpu.allocate(128);
        gpu.launch("calls", ONE, threads(32), 0, &[Arg::Address(to)])
            .unwrap();
        let wanted: Vec<u32> = (0..32i32)
            .map(|at| {
                let ackermann = 2 * (at % 4) + 3;
                let result = ackermann * 1000 + 2 * at + 3;
                (match at % 3 {
                    0 => result + at,
                    1 => result - at,
                    _ => result * at,
                }) as u32
            })
            .collect();
        assert_eq!(gpu.words(to, 32), wanted, "{what}");
    });
}

#[test]
fn local_arrays_are_each_threads_own() {
    each(|gpu, what| {
        let mut values: Vec<u32> = scattered(40 * 8, 4)
            .into_iter()
            .map(|one| one >> 1)
            .collect();
        let address = gpu.upload_words(&values);
        gpu.launch("local_sort", ONE, threads(40), 0, &[Arg::Address(address)])
            .unwrap();
        values.chunks_mut(8).for_each(<[u32]>::sort_unstable);
        assert_eq!(gpu.words(address, 320), values, "{what}");
    });
}

#[test]
fn printf_formats_as_c_does() {
    each(|gpu, what| {
        gpu.launch("prints", ONE, threads(4), 0, &[Arg::Int(-42)])
            .unwrap();
        let printed = String::from_utf8(gpu.printed.lock().unwrap().clone()).unwrap();
        assert_eq!(printed, "v=-42 f=1.50 s=text x=0000abcd z%\n", "{what}");
    });
}

#[test]
fn a_failed_assertion_ends_the_launch_with_its_text() {
    each(|gpu, what| {
        let values = gpu.upload_words(&[1, 1, 0, 1]);
        let result = gpu.launch("asserts", ONE, threads(4), 0, &[Arg::Address(values)]);
        let Err(Fault::AssertFailed { place, message }) = result else {
            panic!("{what}")
        };
        assert_eq!(place.thread, [2, 0, 0], "{what}");
        assert!(message.contains("values[threadIdx.x] > 0"), "{message}");
    });
}

#[test]
fn packed_halves_multiply_and_add() {
    each(|gpu, what| {
        // 1.5, 2, -0.25 and pairs (1, 2).
        let halves: Vec<u8> = [0x3e00u16, 0x4000, 0xb400]
            .iter()
            .flat_map(|h| h.to_le_bytes())
            .collect();
        let (x, y) = (gpu.upload(&halves), gpu.upload_words(&[0x4000_3c00; 3]));
        let arguments = [Arg::Address(x), Arg::Address(y), Arg::Int(3)];
        gpu.launch("half_axpy", ONE, threads(32), 0, &arguments)
            .unwrap();
        // (2x + 1, -x/2 + 2)
        assert_eq!(
            gpu.words(y, 3),
            [0x3d00_4400, 0x3c00_4500, 0x4040_3800],
            "{what}"
        );
    });
}

#[test]
fn softmax_rows_add_up_to_one() {
    each(|gpu, what| {
        let width = 77;
        let values = scattered_singles(3 * width, 5);
        let (from, to) = (gpu.upload_singles(&values), gpu.allocate(4 * 3 * width));
        let arguments = [Arg::Address(from), Arg::Address(to), Arg::Int(width as i32)];
        gpu.launch("softmax", threads(3), threads(32), 0, &arguments)
            .unwrap();
        for (row, found) in gpu.singles(to, 3 * width).chunks(width).enumerate() {
            let row = &values[row * width..][..width];
            let sum: f32 = row.iter().map(|value| value.exp()).sum();
            for (found, value) in found.iter().zip(row) {
                assert!((found - value.exp() / sum).abs() < 1e-6, "{what}");
            }
        }
    });
}

#[test]
fn barriers_reduce_predicates() {
    each(|gpu, what| {
        for (zeros, wanted) in [(0usize, 10011u32), (3, 9701), (100, 0)] {
            let values: Vec<u32> = (0..100).map(|at| u32::from(at >= zeros)).collect();
            let (from, to) = (gpu.upload_words(&values), gpu.allocate(4));
            let arguments = [Arg::Address(from), Arg::Address(to)];
            gpu.launch("vote_count", ONE, threads(100), 0, &arguments)
                .unwrap();
            assert_eq!(gpu.words(to, 1), [wanted], "{what}");
        }
    });
}

#[test]
fn a_divergent_loop_counts_for_every_lane() {
    each(|gpu, what| {
        let (width, height, limit) = (50, 20, 60);
        let to = gpu.allocate(1000);
        let sizes = [width, height, limit].map(Arg::Int);
        let arguments: Vec<Arg> = [Arg::Address(to)].into_iter().chain(sizes).collect();
        gpu.launch("mandelbrot", [4, 3, 1], [16, 8, 1], 0, &arguments)
            .unwrap();
        let found = gpu.read(to, 1000);
        let mut wrong = 0;
        for y in 0..height {
            for x in 0..width {
                let (re, im) = (
                    x as f32 * 3.0 / width as f32 - 2.0,
                    y as f32 * 2.0 / height as f32 - 1.0,
                );
                let (mut zr, mut zi, mut turns) = (0.0f32, 0.0f32, 0);
                while turns < limit && zr * zr + zi * zi < 4.0 {
                    (zr, zi) = (zr * zr - zi * zi + re, 2.0 * zr * zi + im);
                    turns += 1;
                }
                wrong += usize::from(i32::from(found[(y * width + x) as usize]) != turns);
            }
        }
        // The device may contract products and sums, so single points near the edge may differ.
        assert!(wrong <= 10, "{what}: {wrong} points differ");
    });
}
