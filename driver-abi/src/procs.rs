//! The rules of cuGetProcAddress, over a table that the driver gives: a name and a version choose
//! among the variants of a function.
//!
//! A runtime makes some 480 requests at its start, and a process holds several runtimes, so the
//! table is indexed once and each request is a hash look-up. The version asked for is that of the
//! *prototype* the caller was compiled against, not of the caller: the newest variant not above it
//! is the one to give.

use std::collections::HashMap;

/// Flag of cuGetProcAddress: give the variant whose default stream is per thread.
pub const PER_THREAD_DEFAULT_STREAM: u64 = 2;

/// One exported function: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Proc {
    /// Exported name, with its `_v2` and the like where it has one.
    pub symbol: &'static str,
    /// Version of CUDA (12040 for 12.4) that introduced this prototype under its base name.
    pub since: u32,
    /// Address of the function.
    pub address: usize,
    /// The variant with a per-thread default stream: symbol, version, address.
    pub twin: Option<(&'static str, u32, usize)>,
}

/// The answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The function to give; CU_GET_PROC_ADDRESS_SUCCESS.
    Found {
        /// Its exported name, for a trace.
        symbol: &'static str,
        /// Its address.
        address: usize,
    },
    /// No function of that name; CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND.
    SymbolNotFound,
    /// Every variant is newer than asked; CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT.
    VersionNotSufficient,
}

impl Lookup {
    /// The value of CUdriverProcAddressQueryResult that says this.
    #[must_use]
    pub fn status(self) -> u32 {
        match self {
            Self::Found { .. } => 0,
            Self::SymbolNotFound => 1,
            Self::VersionNotSufficient => 2,
        }
    }
}

/// The table, indexed.
#[derive(Debug)]
pub struct Procs {
    /// By base name; each list is sorted from the newest variant to the oldest.
    by_name: HashMap<&'static str, Vec<Proc>>,
    /// By exported name, where that differs from the base name.
    by_symbol: HashMap<&'static str, Proc>,
}

impl Procs {
    /// Indexes `table`. Done once a process: some 700 rows.
    #[must_use]
    pub fn new(table: impl IntoIterator<Item = Proc>) -> Self {
        let mut by_name: HashMap<&'static str, Vec<Proc>> = HashMap::new();
        let mut by_symbol = HashMap::new();
        for row in table {
            let name = base_name(row.symbol);
            if name.len() != row.symbol.len() {
                by_symbol.insert(row.symbol, row);
            }
            by_name.entry(name).or_default().push(row);
        }
        for variants in by_name.values_mut() {
            variants.sort_by_key(|row| std::cmp::Reverse(row.since));
        }
        Self { by_name, by_symbol }
    }

    /// Chooses the newest variant of `name` that is not above `version`, and of that variant the
    /// twin with a per-thread default stream if `flags` ask for it and the twin too is not above
    /// `version`.
    ///
    /// `name` is a base name ("cuMemAlloc"). An exported name ("cuMemAlloc_v2") is accepted as
    /// well and means that variant alone. The empty name, which runtimes use as a probe, is not
    /// found.
    #[must_use]
    pub fn find(&self, name: &str, version: u32, flags: u64) -> Lookup {
        if let Some(variants) = self.by_name.get(name) {
            let chosen = variants.iter().find(|row| row.since <= version);
            return chosen.map_or(Lookup::VersionNotSufficient, |row| {
                row.answer(version, flags)
            });
        }
        match self.by_symbol.get(name) {
            Some(row) if row.since <= version => row.answer(version, flags),
            Some(_) => Lookup::VersionNotSufficient,
            None => Lookup::SymbolNotFound,
        }
    }
}

impl Proc {
    fn answer(&self, version: u32, flags: u64) -> Lookup {
        let per_thread = flags & PER_THREAD_DEFAULT_STREAM != 0;
        let twin = self
            .twin
            .filter(|&(_, since, _)| per_thread && since <= version);
        let (symbol, _, address) = twin.unwrap_or((self.symbol, self.since, self.address));
        Lookup::Found { symbol, address }
    }
}

/// `symbol` without a trailing `_v` and digits. `cuStreamGetCaptureInfo_v3` is thus a variant of
/// `cuStreamGetCaptureInfo`; names such as `cuVDPAUCtxCreate` or `cuLaunchKernel` stay as they are.
#[must_use]
pub fn base_name(symbol: &str) -> &str {
    let stem = symbol.trim_end_matches(|character: char| character.is_ascii_digit());
    if stem.len() == symbol.len() {
        return symbol;
    }
    stem.strip_suffix("_v")
        .filter(|base| !base.is_empty())
        .unwrap_or(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn procs() -> Procs {
        let row = |symbol, since, address, twin| Proc {
            symbol,
            since,
            address,
            twin,
        };
        Procs::new([
            row("cuInit", 2000, 1, None),
            row("cuMemcpyHtoD", 2000, 2, None),
            row(
                "cuMemcpyHtoD_v2",
                3020,
                3,
                Some(("cuMemcpyHtoD_v2_ptds", 7000, 4)),
            ),
            row(
                "cuStreamGetCaptureInfo",
                10010,
                5,
                Some(("cuStreamGetCaptureInfo_ptsz", 10010, 6)),
            ),
            row(
                "cuStreamGetCaptureInfo_v3",
                12030,
                9,
                Some(("cuStreamGetCaptureInfo_v3_ptsz", 12030, 10)),
            ),
            row(
                "cuStreamGetCaptureInfo_v2",
                11030,
                7,
                Some(("cuStreamGetCaptureInfo_v2_ptsz", 11030, 8)),
            ),
            row("cuMemsetD32_v2", 3020, 11, None),
            row("cuLogsCurrent", 12090, 12, None),
        ])
    }

    fn address(name: &str, version: u32, flags: u64) -> Result<usize, u32> {
        match procs().find(name, version, flags) {
            Lookup::Found { address, .. } => Ok(address),
            other => Err(other.status()),
        }
    }

    #[test]
    fn the_newest_variant_not_above_the_version() {
        assert_eq!(address("cuMemcpyHtoD", 13050, 0), Ok(3));
        assert_eq!(address("cuMemcpyHtoD", 3020, 0), Ok(3));
        assert_eq!(address("cuMemcpyHtoD", 3019, 0), Ok(2));
        assert_eq!(address("cuStreamGetCaptureInfo", 10010, 0), Ok(5));
        assert_eq!(address("cuStreamGetCaptureInfo", 12020, 0), Ok(7));
        assert_eq!(address("cuStreamGetCaptureInfo", 12030, 0), Ok(9));
        assert_eq!(address("cuMemsetD32", 13000, 0), Ok(11));
    }

    #[test]
    fn the_twin_of_that_variant_when_asked() {
        assert_eq!(address("cuMemcpyHtoD", 7000, 2), Ok(4));
        assert_eq!(
            address("cuMemcpyHtoD", 6050, 2),
            Ok(3),
            "the twin is newer than asked"
        );
        assert_eq!(
            address("cuMemcpyHtoD", 7000, 1),
            Ok(3),
            "1 asks for the legacy stream"
        );
        assert_eq!(address("cuStreamGetCaptureInfo", 11040, 2), Ok(8));
        assert_eq!(
            address("cuInit", 13000, 2),
            Ok(1),
            "no twin: the function itself"
        );
    }

    #[test]
    fn what_is_not_there() {
        assert_eq!(address("", 0, 0), Err(1));
        assert_eq!(address("", 13050, 2), Err(1));
        assert_eq!(address("cuMem", 13050, 0), Err(1));
        assert_eq!(address("cuInitt", 13050, 0), Err(1));
        assert_eq!(address("cuLogsCurrent", 12080, 0), Err(2));
        assert_eq!(address("cuInit", 1999, 0), Err(2));
    }

    #[test]
    fn an_exported_name_means_its_own_variant() {
        assert_eq!(address("cuStreamGetCaptureInfo_v2", 13050, 0), Ok(7));
        assert_eq!(address("cuStreamGetCaptureInfo_v2", 13050, 2), Ok(8));
        assert_eq!(address("cuMemcpyHtoD_v2", 2000, 0), Err(2));
    }

    #[test]
    fn base_names() {
        assert_eq!(base_name("cuCtxCreate_v4"), "cuCtxCreate");
        assert_eq!(base_name("cuGraphAddNode_v12"), "cuGraphAddNode");
        assert_eq!(base_name("cuMemsetD32"), "cuMemsetD32");
        assert_eq!(base_name("cuMemcpy3D"), "cuMemcpy3D");
        assert_eq!(base_name("cuStreamWaitValue64"), "cuStreamWaitValue64");
        assert_eq!(base_name("_v2"), "_v2");
        assert_eq!(base_name(""), "");
        assert_eq!(base_name("cuX_v"), "cuX_v");
    }

    proptest! {
        #[test]
        fn only_what_is_there_is_found(name in "(cu)?.{0,20}", version in any::<u32>()) {
            let procs = procs();
            let known = procs.by_name.contains_key(name.as_str());
            prop_assert_eq!(procs.find(&name, version, 2) == Lookup::SymbolNotFound, !known);
        }
    }
}
