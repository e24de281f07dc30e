//! The five kernels: how each is launched, the loop that does the same without a GPU, and how many
//! instructions its threads execute.

use std::sync::atomic::Ordering;

use crate::device::{Array, Device, Shape};

pub(crate) const TEXT: &str = include_str!("kernels.ptx");

/// A kernel with its data.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Executed by all threads together.
    pub(crate) instructions: u64,
    /// The same work in a loop; returns a sum of the result, so that none of it is left out.
    pub(crate) scalar: Box<dyn FnMut() -> f64>,
    /// Sum of the kernel's result.
    pub(crate) sum: Box<dyn Fn(&Device) -> f64>,
}

/// How often each piece of a kernel is entered by a thread, against the number of instructions in
/// each: a piece ends after a branch and before a label.
fn instructions(name: &str, visits: &[u64]) -> u64 {
    let start = TEXT.find(&format!(".entry {name}(")).expect("a kernel");
    let body = &TEXT[start..];
    let body = &body[body.find('{').expect("a body")..body.find('}').expect("its end")];
    let mut pieces = vec![0_u64];
    for line in body.lines().map(str::trim) {
        let last = pieces.last_mut().expect("there is one at least");
        if line.ends_with(':') {
            if *last != 0 {
                pieces.push(0);
            }
        } else if line.ends_with(';') && !line.starts_with('.') {
            *last += 1;
            if line.contains("bra ") {
                pieces.push(0);
            }
        }
    }
    assert_eq!(pieces.len(), visits.len(), "{name}: {pieces:?}");
    pieces
        .iter()
        .zip(visits)
        .map(|(len, times)| len * times)
        .sum()
}

/// Arguments one after the other, each aligned to its size.
fn parameters(arguments: &[&[u8]]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for argument in arguments {
        bytes.resize(bytes.len().next_multiple_of(argument.len()), 0);
        bytes.extend_from_slice(argument);
    }
    bytes
}

fn total(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum()
}

/// Small whole numbers: every sum of them is exact in any order.
fn ramp(len: u32, period: u16) -> Vec<f32> {
    (0..len)
        .map(|index| f32::from(u16::try_from(index % u32::from(period)).expect("below it")))
        .collect()
}

fn uploaded(device: &mut Device, values: &[f32]) -> Array {
    let array = device.array(values.len());
    device.write(array, values);
    array
}

/// All five on `len` (a power of two, 64 Ki at least) elements.
pub(crate) fn cases(device: &mut Device, len: u32) -> Vec<Case> {
    vec![
        vector_add(device, len),
        saxpy(device, len),
        mandelbrot(device, len),
        block_reduce(device, len),
        warp_reduce(device, len),
    ]
}

fn vector_add(device: &mut Device, len: u32) -> Case {
    let (a, b) = (ramp(len, 1000), ramp(len, 77));
    let (on_a, on_b) = (uploaded(device, &a), uploaded(device, &b));
    let into = device.array(a.len());
    let mut sums = vec![0.0; a.len()];
    let threads = u64::from(len);
    Case {
        name: "vector_add",
        shape: Shape {
            grid: [len / 256, 1, 1],
            block: [256, 1, 1],
            shared_bytes: 0,
            parameters: parameters(&[
                &device.address(on_a).to_le_bytes(),
                &device.address(on_b).to_le_bytes(),
                &device.address(into).to_le_bytes(),
                &len.to_le_bytes(),
            ]),
        },
        instructions: instructions("vector_add", &[threads; 3]),
        scalar: Box::new(move || {
            for ((sum, a), b) in sums.iter_mut().zip(&a).zip(&b) {
                *sum = a + b;
            }
            total(std::hint::black_box(&sums[..64]))
        }),
        sum: Box::new(move |device| total(&device.read(into)[..64])),
    }
}

fn saxpy(device: &mut Device, len: u32) -> Case {
    let (x, mut y) = (ramp(len, 1000), vec![0.0; len as usize]);
    let (on_x, on_y) = (uploaded(device, &x), uploaded(device, &y));
    let threads = u64::from(64 * 256_u32);
    Case {
        name: "saxpy",
        shape: Shape {
            grid: [64, 1, 1],
            block: [256, 1, 1],
            shared_bytes: 0,
            parameters: parameters(&[
                &2_f32.to_le_bytes(),
                &device.address(on_x).to_le_bytes(),
                &device.address(on_y).to_le_bytes(),
                &u64::from(len).to_le_bytes(),
            ]),
        },
        instructions: instructions("saxpy", &[threads, threads, len.into(), threads]),
        scalar: Box::new(move || {
            for (y, x) in y.iter_mut().zip(&x) {
                *y += 2.0 * x;
            }
            total(std::hint::black_box(&y[..64]))
        }),
        sum: Box::new(move |device| total(&device.read(on_y)[..64])),
    }
}

/// A square of len / 16 pixels.
fn mandelbrot(device: &mut Device, len: u32) -> Case {
    let side = (len / 16).isqrt();
    let (pixels, step) = (u64::from(side * side), 3.0 / f64::from(side));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel computes in singles"
    )]
    let step = step as f32;
    let image = device.array(side as usize * side as usize / 4);
    let mut escaped = 0;
    let mut iterations = 0;
    for pixel in 0..side * side {
        let count = escape(pixel % side, pixel / side, step);
        iterations += u64::from(count);
        escaped += u64::from(count != ROUNDS_MAX);
    }
    let visits = [
        pixels, pixels, pixels, iterations, pixels, escaped, pixels, pixels,
    ];
    Case {
        name: "mandelbrot",
        shape: Shape {
            grid: [side / 16, side / 16, 1],
            block: [16, 16, 1],
            shared_bytes: 0,
            parameters: parameters(&[
                &device.address(image).to_le_bytes(),
                &side.to_le_bytes(),
                &side.to_le_bytes(),
                &(-2_f32).to_le_bytes(),
                &(-1.5_f32).to_le_bytes(),
                &step.to_le_bytes(),
                &step.to_le_bytes(),
                &ROUNDS_MAX.to_le_bytes(),
            ]),
        },
        instructions: instructions("mandelbrot", &visits),
        scalar: Box::new(move || {
            let sum: u32 = (0..side * side)
                .map(|pixel| match escape(pixel % side, pixel / side, step) {
                    ROUNDS_MAX => 0,
                    count => count * 255 / ROUNDS_MAX,
                })
                .sum();
            sum.into()
        }),
        sum: Box::new(move |device| {
            let words = device.words(image).iter();
            let bytes = words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
            bytes.map(f64::from).sum()
        }),
    }
}

const ROUNDS_MAX: u32 = 200;

/// Rounds until the point leaves the circle, rounded as the compiled kernel rounds.
fn escape(column: u32, row: u32, step: f32) -> u32 {
    let single = |place: u32| f32::from(u16::try_from(place).expect("a small image"));
    let (at_x, at_y) = (single(column) * step - 2.0, single(row) * step - 1.5);
    let (mut x, mut y, mut count) = (0_f32, 0_f32, 0);
    while count < ROUNDS_MAX && x * x + y * y <= 4.0 {
        let next = at_x + (x * x - y * y);
        y = (x + x) * y + at_y;
        x = next;
        count += 1;
    }
    count
}

fn block_reduce(device: &mut Device, len: u32) -> Case {
    let values = ramp(len, 5);
    let blocks = len / 512;
    let (from, into) = (uploaded(device, &values), device.array(blocks as usize));
    let threads = u64::from(blocks) * 256;
    // Half as many threads add in each of the eight rounds: 128, 64, ... 1.
    let (adding, rounds, leaders) = (u64::from(blocks) * 255, 8 * threads, u64::from(blocks));
    let visits = [
        threads, threads, threads, threads, threads, rounds, adding, rounds, threads, leaders,
        threads,
    ];
    Case {
        name: "block_reduce",
        shape: Shape {
            grid: [blocks, 1, 1],
            block: [256, 1, 1],
            shared_bytes: 1024,
            parameters: parameters(&[
                &device.address(from).to_le_bytes(),
                &device.address(into).to_le_bytes(),
                &len.to_le_bytes(),
            ]),
        },
        instructions: instructions("block_reduce", &visits),
        scalar: Box::new(move || {
            let sums = values.chunks(512).map(|block| block.iter().sum::<f32>());
            sums.map(f64::from).sum()
        }),
        sum: Box::new(move |device| total(&device.read(into))),
    }
}

fn warp_reduce(device: &mut Device, len: u32) -> Case {
    let values = ramp(len, 5);
    let (from, into) = (uploaded(device, &values), device.array(1));
    let threads = u64::from(64 * 256_u32);
    let visits = [threads, threads, len.into(), threads, threads / 32, threads];
    Case {
        name: "warp_reduce",
        shape: Shape {
            grid: [64, 1, 1],
            block: [256, 1, 1],
            shared_bytes: 0,
            parameters: parameters(&[
                &device.address(from).to_le_bytes(),
                &device.address(into).to_le_bytes(),
                &len.to_le_bytes(),
            ]),
        },
        instructions: instructions("warp_reduce", &visits),
        scalar: Box::new(move || values.iter().sum::<f32>().into()),
        sum: Box::new(move |device| total(&device.read(into))),
    }
}
