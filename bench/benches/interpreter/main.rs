//! How fast softgpu's interpreter is: thread-instructions a second on one core, against a scalar
//! loop of the same work in the same run, both in processor time; and how much sooner two workers
//! are done than one, by the clock on the wall.

#[expect(
    unsafe_code,
    reason = "promises the interpreter an arena that stays where it is, and reads a clock"
)]
mod device;
mod kernels;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, Throughput};
use flexdirect_bench::results;

use device::{Device, processor_time};
use kernels::Case;

/// Elements of each kernel, and of a run that only tests.
const LEN: u32 = 1 << 20;
const LEN_TESTED: u32 = 1 << 16;

fn main() {
    let tests = std::env::args().any(|argument| argument == "--test");
    let len = if tests { LEN_TESTED } else { LEN };
    let mut device = Device::new(9 * len as usize, kernels::TEXT);
    let mut cases = kernels::cases(&mut device, len);
    for case in &mut cases {
        check(&device, case);
    }
    let folder = results::folder();
    let begin = SystemTime::now();
    let mut criterion = Criterion::default()
        .output_directory(&folder)
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for case in &mut cases {
        measure(&mut criterion, &device, case);
    }
    criterion.final_summary();
    print_table(&folder, begin, &cases);
}

/// Kernel and loop must agree before their times are compared.
fn check(device: &Device, case: &mut Case) {
    device.launch(case.name, 1, &case.shape);
    let (kernel, scalar) = ((case.sum)(device), (case.scalar)());
    assert!(kernel == scalar, "{}: {kernel}, not {scalar}", case.name);
}

fn measure(criterion: &mut Criterion, device: &Device, case: &mut Case) {
    let mut group = criterion.benchmark_group(format!("interpreter, {}", case.name));
    group.throughput(Throughput::Elements(case.instructions));
    group.bench_function("scalar", |bencher| {
        bencher.iter_custom(|rounds| timed(rounds, || black_box((case.scalar)())));
    });
    group.bench_function("interpreted", |bencher| {
        bencher.iter_custom(|rounds| timed(rounds, || device.launch(case.name, 1, &case.shape)));
    });
    for (name, workers) in [("one worker", 1), ("two workers", 2)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| device.launch(case.name, workers, &case.shape));
        });
    }
    group.finish();
}

/// Processor time of so many rounds.
fn timed<T>(rounds: u64, mut work: impl FnMut() -> T) -> Duration {
    let begin = processor_time();
    for _ in 0..rounds {
        work();
    }
    processor_time() - begin
}

/// Medians of this run, one line a kernel. Nothing after a run that only tests.
fn print_table(folder: &Path, begin: SystemTime, cases: &[Case]) {
    let mut lines = Vec::new();
    for case in cases {
        let measured = folder.join(format!("interpreter, {}", case.name));
        let median = |which| results::median_ns(&measured.join(which), begin);
        let both = median("one worker").zip(median("two workers"));
        let (Some(scalar), Some(kernel)) = (median("scalar"), median("interpreted")) else {
            continue;
        };
        let scaling = both.map_or(f64::NAN, |(one, two)| one / two);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let instructions = case.instructions as f64;
        lines.push(format!(
            "| {} | {:.1} M | {:.2} ms | {:.2} | {:.2} ms | {:.1} | {:.2} |",
            case.name,
            instructions / 1e6,
            kernel / 1e6,
            instructions / kernel,
            scalar / 1e6,
            kernel / scalar,
            scaling
        ));
    }
    if !lines.is_empty() {
        println!(
            "| kernel | thread-instructions | one core | G a second | scalar loop | \
             times scalar | two workers faster by |\n|---|---|---|---|---|---|---|"
        );
        println!("{}", lines.join("\n"));
    }
}
