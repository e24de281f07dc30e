//! Remote against native, measured by turns in one process: what a call costs its caller, how many
//! launches a second get through, and how fast bytes move.
//!
//! Outside of a lease this program starts itself again under `flexdirect local`, and then has both:
//! softgpu by its path, and the shim, whose worker runs the same softgpu.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use flexdirect_bench::driver::{Driver, Stream};
use flexdirect_bench::{results, root};

/// Set in the process that measures.
const INSIDE: &str = "FLEXDIRECT_BENCH_INSIDE";
/// Where softgpu's memory lies in this process: the worker's lies elsewhere, and the shim needs the
/// worker's addresses to be free here.
const BASE: u64 = 0x6000_0000_0000;
/// Launches between two synchronisations.
const BURST: u32 = 1000;
const SIZES: [(usize, &str); 5] = [
    (4 << 10, "4 KiB"),
    (64 << 10, "64 KiB"),
    (1 << 20, "1 MiB"),
    (16 << 20, "16 MiB"),
    (256 << 20, "256 MiB"),
];

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_some() {
        measure();
        return ExitCode::SUCCESS;
    }
    let command = root().join("stage/bin/flexdirect");
    if !command.exists() {
        eprintln!("{} is missing: run `make build`", command.display());
        return ExitCode::FAILURE;
    }
    let this = std::env::current_exe().expect("a process knows its program");
    let status = Command::new(command)
        .args(["local", "-n", "1", "--device", "soft", "--"])
        .args(["env", &format!("SOFTGPU_BASE={BASE:#x}")])
        .arg(this)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()
        .expect("the command was just there");
    if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn measure() {
    let libraries = root().join("stage/lib");
    let open = |folder: &str| {
        let path = libraries.join(folder).join("libcuda.so.1");
        Driver::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let drivers = [("native", open("softgpu")), ("remote", open("cuda"))];
    let folder = results::folder();
    let begin = std::time::SystemTime::now();
    let mut criterion = Criterion::default()
        .output_directory(&folder)
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut rows = Vec::new();
    awaited(&mut criterion, &drivers, &mut rows);
    posted(&mut criterion, &drivers, &mut rows);
    copies(&mut criterion, &drivers, &mut rows);
    criterion.final_summary();
    print_table(&folder, begin, &rows);
}

/// One line of the table: group of the two measurements, and what one iteration of them moves.
struct Row {
    group: String,
    unit: Unit,
}

enum Unit {
    /// Time of a call.
    Call,
    /// Bytes of an iteration.
    Bytes(usize),
}

type Drivers = [(&'static str, Driver); 2];

/// A group in which both drivers are measured, one after the other.
fn pair(
    criterion: &mut Criterion,
    drivers: &Drivers,
    (name, unit): (String, Unit),
    rows: &mut Vec<Row>,
    mut bench: impl FnMut(&mut BenchmarkGroup<'_, WallTime>, &'static str, &Driver),
) {
    let mut group = criterion.benchmark_group(&name);
    if let Unit::Bytes(len) = unit {
        group.throughput(Throughput::Bytes(len as u64));
    }
    for (which, driver) in drivers {
        driver.enter();
        bench(&mut group, which, driver);
    }
    group.finish();
    rows.push(Row { group: name, unit });
}

fn awaited(criterion: &mut Criterion, drivers: &Drivers, rows: &mut Vec<Row>) {
    let name = ("awaited null call".to_owned(), Unit::Call);
    pair(criterion, drivers, name, rows, |group, which, driver| {
        group.bench_function(which, |bencher| bencher.iter(|| black_box(driver.limit())));
    });
    let name = ("query of an idle stream".to_owned(), Unit::Call);
    pair(criterion, drivers, name, rows, |group, which, driver| {
        let stream = driver.stream();
        group.bench_function(which, |bencher| bencher.iter(|| black_box(stream.query())));
    });
    let name = ("launch and synchronise".to_owned(), Unit::Call);
    pair(criterion, drivers, name, rows, |group, which, driver| {
        let stream = driver.stream();
        group.bench_function(which, |bencher| {
            bencher.iter(|| {
                stream.launch();
                stream.synchronize();
            });
        });
    });
}

/// Launches that nobody waits for: their cost to the caller alone, then with the wait for all.
fn posted(criterion: &mut Criterion, drivers: &Drivers, rows: &mut Vec<Row>) {
    for (threads, shown) in [(1, "1 thread"), (4, "4 threads")] {
        let name = (format!("launch, caller's cost, {shown}"), Unit::Call);
        pair(criterion, drivers, name, rows, |group, which, driver| {
            group.bench_function(which, |bencher| {
                bencher.iter_custom(|calls| on_threads(driver, threads, calls, burst_posting));
            });
        });
        let name = (format!("launch, sustained, {shown}"), Unit::Call);
        pair(criterion, drivers, name, rows, |group, which, driver| {
            group.bench_function(which, |bencher| {
                bencher.iter_custom(|calls| on_threads(driver, threads, calls, burst_whole));
            });
        });
    }
}

/// Time of `calls` launches, spread over threads with a stream each.
fn on_threads(
    driver: &Driver,
    threads: u64,
    calls: u64,
    burst: fn(&Stream<'_>, u32) -> Duration,
) -> Duration {
    let barrier = Barrier::new(usize::try_from(threads).expect("a few threads"));
    let work = || {
        driver.enter();
        let stream = driver.stream();
        burst(&stream, 1);
        barrier.wait();
        let (mut left, mut spent) = (calls.div_ceil(threads), Duration::ZERO);
        while left > 0 {
            let len = left.min(u64::from(BURST));
            spent += burst(&stream, u32::try_from(len).expect("at most a burst"));
            left -= len;
        }
        spent
    };
    if threads == 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let times = running
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"));
        // All begin together: the slowest is the time of all.
        times.max().expect("there are threads")
    })
}

/// Time in which the launches were accepted.
fn burst_posting(stream: &Stream<'_>, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        stream.launch();
    }
    let spent = begin.elapsed();
    stream.synchronize();
    spent
}

/// Time until the launches were done.
fn burst_whole(stream: &Stream<'_>, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        stream.launch();
    }
    stream.synchronize();
    begin.elapsed()
}

fn copies(criterion: &mut Criterion, drivers: &Drivers, rows: &mut Vec<Row>) {
    for (len, shown) in SIZES {
        let mut bytes = vec![1_u8; len];
        let name = (format!("host to device, {shown}"), Unit::Bytes(len));
        pair(criterion, drivers, name, rows, |group, which, driver| {
            let buffer = driver.buffer(len);
            // Waited for, or a posted copy would be measured by what it leaves to do.
            group.bench_function(which, |bencher| {
                bencher.iter(|| {
                    buffer.write(&bytes);
                    driver.synchronize();
                });
            });
        });
        let name = (format!("device to host, {shown}"), Unit::Bytes(len));
        pair(criterion, drivers, name, rows, |group, which, driver| {
            let buffer = driver.buffer(len);
            buffer.write(&bytes);
            group.bench_function(which, |bencher| bencher.iter(|| buffer.read(&mut bytes)));
        });
    }
}

/// Native beside remote, medians. Nothing after a run that only tests.
fn print_table(folder: &Path, begin: std::time::SystemTime, rows: &[Row]) {
    let mut lines = Vec::new();
    for row in rows {
        let median = |which| results::median_ns(&folder.join(&row.group).join(which), begin);
        let (Some(native), Some(remote)) = (median("native"), median("remote")) else {
            continue;
        };
        let show = |ns: f64| match row.unit {
            Unit::Call => format!("{:.2} us", ns / 1000.0),
            #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
            Unit::Bytes(len) => format!("{:.3} GB/s", len as f64 / ns),
        };
        lines.push(format!(
            "| {} | {} | {} | {:.2} |",
            row.group,
            show(native),
            show(remote),
            remote / native
        ));
    }
    if !lines.is_empty() {
        println!("| measured | native | remote | times native |\n|---|---|---|---|");
        println!("{}", lines.join("\n"));
    }
}
