//! What goes wrong on purpose, and launches that only take time: for tests of whatever runs on this
//! driver.
//!
//! Parsed strictly at cuInit: a fault that is misspelt must not make a test pass. The words are
//! those of the table in `crate::config`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flexdirect_wire::abi::{CuError, CuResult};

/// What the environment asks for beside a device that works.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Allocations that succeed before all others fail.
    oom_after: Option<u64>,
    allocations: AtomicU64,
    illegal: Vec<Illegal>,
    copy_bytes_per_s: Option<u64>,
    /// Launches after which one ends with an ECC error, and after which the device is gone.
    ecc_after: Option<u64>,
    lost_after: Option<u64>,
    launches: AtomicU64,
    lost: AtomicBool,
    /// Address of the first device's memory.
    pub(crate) base: Option<u64>,
    times: Vec<(Option<String>, Duration)>,
    /// How long a launch may take.
    pub(crate) watchdog: Option<Duration>,
    /// Whether accesses of kernels are checked against the allocations.
    pub(crate) checks: bool,
}

/// A kernel that faults at its `nth` launch.
#[derive(Debug)]
struct Illegal {
    kernel: String,
    nth: u64,
    launches: AtomicU64,
}

impl Plan {
    /// Reads the environment through `variable`.
    ///
    /// # Errors
    /// A line for the user: what is wrong with which variable.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut plan = Self::default();
        let words = |name: &str| {
            let text = variable(name).unwrap_or_default();
            let words = text
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        for word in words("SOFTGPU_FAULT") {
            plan.add_fault(&word)
                .ok_or_else(|| format!("SOFTGPU_FAULT: \"{word}\" is not a fault"))?;
        }
        for word in words("SOFTGPU_KERNEL_TIME") {
            let (kernel, time) = match word.split_once('=') {
                Some((kernel, time)) => (Some(kernel.trim().to_owned()), time),
                None => (None, word.as_str()),
            };
            let time = duration(time)
                .ok_or_else(|| format!("SOFTGPU_KERNEL_TIME: \"{word}\" is not a time"))?;
            plan.times.push((kernel, time));
        }
        if let Some(text) = variable("SOFTGPU_WATCHDOG").filter(|text| !text.is_empty()) {
            let limit = text.trim().parse::<f64>().ok();
            let limit = limit.filter(|&seconds| seconds > 0.0);
            let limit = limit.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let bad = || format!("SOFTGPU_WATCHDOG: \"{text}\" is not a number of seconds");
            plan.watchdog = Some(limit.ok_or_else(bad)?);
        }
        plan.checks = match variable("SOFTGPU_CHECK").as_deref() {
            None | Some("" | "0") => false,
            Some("1") => true,
            Some(text) => return Err(format!("SOFTGPU_CHECK: \"{text}\" is neither 0 nor 1")),
        };
        Ok(plan)
    }

    fn add_fault(&mut self, word: &str) -> Option<()> {
        let (fault, rest) = word.split_once(':')?;
        match fault {
            "oom" => self.oom_after = Some(rest.parse().ok()?),
            "illegal" => {
                let (kernel, nth) = match rest.split_once(':') {
                    Some((kernel, nth)) => (kernel, nth.parse().ok().filter(|&nth| nth > 0)?),
                    None => (rest, 1),
                };
                if kernel.is_empty() {
                    return None;
                }
                self.illegal.push(Illegal {
                    kernel: kernel.to_owned(),
                    nth,
                    launches: AtomicU64::new(0),
                });
            }
            "slow-copy" => {
                self.copy_bytes_per_s = Some(rest.parse().ok().filter(|&speed| speed > 0)?);
            }
            "ecc" => self.ecc_after = Some(rest.parse().ok()?),
            "lost" => self.lost_after = Some(rest.parse().ok()?),
            "base" => {
                let digits = rest.strip_prefix("0x")?.replace('_', "");
                self.base = Some(u64::from_str_radix(&digits, 16).ok()?);
            }
            _ => return None,
        }
        Some(())
    }

    /// Counts an allocation of device memory.
    ///
    /// # Errors
    /// OUT_OF_MEMORY if it is to fail.
    pub(crate) fn allocation(&self) -> CuResult {
        let is_full = self.oom_after.is_some_and(|after| {
            let before = self.allocations.fetch_add(1, Ordering::Relaxed);
            before >= after
        });
        if is_full {
            return Err(CuError::OUT_OF_MEMORY);
        }
        Ok(())
    }

    /// Counts a launch.
    ///
    /// # Errors
    /// What is to go wrong with it.
    pub(crate) fn launch(&self, kernel: &str) -> CuResult {
        let before = self.launches.fetch_add(1, Ordering::Relaxed);
        if self.lost_after.is_some_and(|after| before >= after) {
            self.lost.store(true, Ordering::Relaxed);
            return Err(CuError::DEVICE_UNAVAILABLE);
        }
        if self.ecc_after.is_some_and(|after| before >= after) {
            return Err(CuError::ECC_UNCORRECTABLE);
        }
        for illegal in self.illegal.iter().filter(|one| one.kernel == kernel) {
            if illegal.launches.fetch_add(1, Ordering::Relaxed) + 1 == illegal.nth {
                return Err(CuError::ILLEGAL_ADDRESS);
            }
        }
        Ok(())
    }

    /// Whether the devices are gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// How long a launch of a kernel takes instead of being executed.
    pub(crate) fn kernel_time(&self, kernel: &str) -> Option<Duration> {
        let named = self
            .times
            .iter()
            .find(|(name, _)| name.as_deref() == Some(kernel));
        let found = named.or_else(|| self.times.iter().find(|(name, _)| name.is_none()));
        found.map(|found| found.1)
    }

    /// How long a copy of `len` bytes takes at least.
    pub(crate) fn copy_time(&self, len: usize) -> Option<Duration> {
        let speed = self.copy_bytes_per_s?;
        let ns = len as u128 * 1_000_000_000 / u128::from(speed);
        Some(Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)))
    }
}

/// Lets the time until `start` plus `duration` go by without work, unless it is cancelled.
pub(crate) fn pass(start: Instant, duration: Duration, cancel: &AtomicBool) {
    while !cancel.load(Ordering::Relaxed) {
        let left = duration.saturating_sub(start.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(CANCEL_STEP));
    }
}

/// The plan of this process; an empty one before cuInit.
pub(crate) fn plan() -> &'static Plan {
    static EMPTY: Plan = Plan {
        oom_after: None,
        allocations: AtomicU64::new(0),
        illegal: Vec::new(),
        copy_bytes_per_s: None,
        ecc_after: None,
        lost_after: None,
        launches: AtomicU64::new(0),
        lost: AtomicBool::new(false),
        base: None,
        times: Vec::new(),
        watchdog: None,
        checks: false,
    };
    PLAN.get().unwrap_or(&EMPTY)
}

/// Sets the plan at cuInit, of which one succeeds.
pub(crate) fn set(plan: Plan) {
    // A second try of cuInit reads the same environment: the first plan stays.
    let _ = PLAN.set(plan);
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// `250us`, `1ms`, `2s`, `0`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit_ns = match &text[digits.len()..] {
        "ns" => 1,
        "us" => 1000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "" if number == 0 => 1,
        _ => return None,
    };
    number.checked_mul(unit_ns).map(Duration::from_nanos)
}

/// Cancellation is looked at so often.
const CANCEL_STEP: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, text: &str) -> Result<Plan, String> {
        Plan::new(|asked| (asked == name).then(|| text.to_owned()))
    }

    #[test]
    fn every_fault_is_counted_as_it_says() {
        let plan = plan(
            "SOFTGPU_FAULT",
            "oom:2, illegal:k:3,illegal:once,slow-copy:1000,base:0x1_0000,ecc:7",
        );
        let plan = plan.unwrap();
        let failing = [(); 4].map(|()| plan.allocation().is_err());
        assert_eq!(failing, [false, false, true, true]);
        let launches = [(); 4].map(|()| plan.launch("k"));
        let illegal = Err(CuError::ILLEGAL_ADDRESS);
        assert_eq!(launches, [Ok(()), Ok(()), illegal, Ok(())]);
        assert_eq!([(); 2].map(|()| plan.launch("once")), [illegal, Ok(())]);
        assert_eq!(plan.launch("other"), Ok(()));
        assert_eq!(
            plan.launch("other"),
            Err(CuError::ECC_UNCORRECTABLE),
            "the eighth"
        );
        assert_eq!(plan.copy_time(500), Some(Duration::from_millis(500)));
        assert_eq!(plan.base, Some(0x1_0000));
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_words() {
        for wrong in [
            "oom",
            "oom:",
            "oom:x",
            "oom:-1",
            "illegal:",
            "illegal:k:0",
            "slow-copy:0",
            "ecc:1s",
            "lost",
            "base:1000",
            "base:0x",
            "explode:1",
            "oom:1;ecc:2",
        ] {
            let error = plan("SOFTGPU_FAULT", wrong).unwrap_err();
            assert!(
                error.contains(wrong) && error.contains("SOFTGPU_FAULT"),
                "{error}"
            );
        }
        for wrong in ["5", "1 ms 2", "k=", "ms", "1m", "99999999999s"] {
            assert!(plan("SOFTGPU_KERNEL_TIME", wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "-1", "x", "1e300", "NaN"] {
            assert!(plan("SOFTGPU_WATCHDOG", wrong).is_err(), "{wrong}");
        }
        assert!(plan("SOFTGPU_CHECK", "yes").is_err());
        assert!(plan("SOFTGPU_FAULT", "").is_ok() && plan("SOFTGPU_CHECK", "1").unwrap().checks);
    }

    #[test]
    fn times_of_kernels() {
        let plan = plan("SOFTGPU_KERNEL_TIME", "250us, long=2s,none=0").unwrap();
        assert_eq!(plan.kernel_time("any"), Some(Duration::from_micros(250)));
        assert_eq!(plan.kernel_time("long"), Some(Duration::from_secs(2)));
        assert_eq!(plan.kernel_time("none"), Some(Duration::ZERO));
    }
}
