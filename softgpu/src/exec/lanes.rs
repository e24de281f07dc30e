//! Functions on whole rows of registers: one call is one instruction on 32 lanes.
//!
//! Each is compiled twice, for the baseline and for AVX2 with FMA, and the better one that this CPU
//! has is taken when a kernel is decoded. Without the FMA feature `mul_add` is a library call.

pub(super) mod compare;
pub(super) mod convert;
pub(super) mod float;
pub(super) mod integer;
pub(super) mod long;

use super::LANES;
use super::block::Env;
use super::warp::{Pause, Trouble, Warp};

/// 32 words, one per lane.
pub(super) type Words = [u32; LANES];
/// 32 long words, one per lane.
pub(super) type Longs = [u64; LANES];

/// Declares the type of a row function: target row, then source rows.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident, $target:ty $(, $value:ident: $source:ty)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name(unsafe fn(&mut $target $(, &$source)+));

        impl $name {
            /// # Safety
            /// The function needs nothing but what `fast()` finds, and only if that found it.
            unsafe fn new(function: unsafe fn(&mut $target $(, &$source)+)) -> Self {
                Self(function)
            }

            #[inline(always)]
            pub(super) fn run(self, target: &mut $target $(, $value: &$source)+) {
                // SAFETY: by the contract of `new` this CPU can run the function.
                unsafe { (self.0)(target $(, $value)+) }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(stringify!($name))
            }
        }
    };
}

shape!(/** Words from words. */ Map32x1, Words, a: Words);
shape!(/** Words from words. */ Map32x2, Words, a: Words, b: Words);
shape!(/** Words from words. */ Map32x3, Words, a: Words, b: Words, c: Words);
shape!(/** Longs from longs. */ Map64x1, Longs, a: Longs);
shape!(/** Longs from longs. */ Map64x2, Longs, a: Longs, b: Longs);
shape!(/** Longs from longs. */ Map64x3, Longs, a: Longs, b: Longs, c: Longs);
shape!(/** A long from a word. */ Widen1, Longs, a: Words);
shape!(/** A long from two words. */ Widen2, Longs, a: Words, b: Words);
shape!(/** A long from two words and a long. */ Widen3, Longs, a: Words, b: Words, c: Longs);
shape!(/** A word from a long. */ Narrow1, Words, a: Longs);
shape!(/** A long from a long and a count. */ Shift64, Longs, a: Longs, b: Words);
shape!(/** A bit per lane. */ Compare32, u32, a: Words, b: Words);
shape!(/** A bit per lane. */ Compare64, u32, a: Longs, b: Longs);

impl Compare32 {
    /// The lanes for which the comparison holds.
    #[inline(always)]
    pub(super) fn bits(self, a: &Words, b: &Words) -> u32 {
        let mut mask = 0;
        self.run(&mut mask, a, b);
        mask
    }
}

impl Compare64 {
    /// The lanes for which the comparison holds.
    #[inline(always)]
    pub(super) fn bits(self, a: &Longs, b: &Longs) -> u32 {
        let mut mask = 0;
        self.run(&mut mask, a, b);
        mask
    }
}

/// Whether this CPU has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
pub(super) fn fast() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Runs a warp by the loop that is compiled for this CPU.
pub(super) fn run(warp: &mut Warp, env: &mut Env<'_>) -> Result<Pause, Trouble> {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn wide(warp: &mut Warp, env: &mut Env<'_>) -> Result<Pause, Trouble> {
            warp.run(env)
        }
        if fast() {
            // SAFETY: `fast` has just found what the function is compiled for.
            return unsafe { wide(warp, env) };
        }
    }
    warp.run(env)
}

/// Builds a row function from an expression on one lane's values.
macro_rules! rows {
    ($shape:ident, $target:ty, |$($value:ident: $source:ty),+| $body:expr) => {{
        #[inline(always)]
        fn plain(target: &mut $target $(, $value: &$source)+) {
            for lane in 0..$crate::exec::LANES {
                $(let $value = $value[lane];)+
                target[lane] = $body;
            }
        }
        fn baseline(target: &mut $target $(, $value: &$source)+) {
            plain(target $(, $value)+);
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn wide(target: &mut $target $(, $value: &$source)+) {
            plain(target $(, $value)+);
        }
        #[cfg(target_arch = "x86_64")]
        let function = if $crate::exec::lanes::fast() {
            wide as unsafe fn(&mut $target $(, &$source)+)
        } else {
            baseline
        };
        #[cfg(not(target_arch = "x86_64"))]
        let function: unsafe fn(&mut $target $(, &$source)+) = baseline;
        // SAFETY: the function for AVX2 and FMA is taken only where `fast` found both.
        unsafe { $crate::exec::lanes::$shape::new(function) }
    }};
}

/// Builds a comparison from an expression on one lane's values.
macro_rules! bits {
    ($shape:ident, $source:ty, |$a:ident, $b:ident| $body:expr) => {{
        #[inline(always)]
        fn plain(target: &mut u32, a: &$source, b: &$source) {
            let mut mask = 0;
            for lane in 0..$crate::exec::LANES {
                let ($a, $b) = (a[lane], b[lane]);
                mask |= u32::from($body) << lane;
            }
            *target = mask;
        }
        fn baseline(target: &mut u32, a: &$source, b: &$source) {
            plain(target, a, b);
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn wide(target: &mut u32, a: &$source, b: &$source) {
            plain(target, a, b);
        }
        #[cfg(target_arch = "x86_64")]
        let function = if $crate::exec::lanes::fast() {
            wide as unsafe fn(&mut u32, &$source, &$source)
        } else {
            baseline
        };
        #[cfg(not(target_arch = "x86_64"))]
        let function: unsafe fn(&mut u32, &$source, &$source) = baseline;
        // SAFETY: the function for AVX2 and FMA is taken only where `fast` found both.
        unsafe { $crate::exec::lanes::$shape::new(function) }
    }};
}

use {bits, rows};
