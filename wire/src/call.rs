//! The table as data: one [`Call`] for each entry, in rising order of op code.

use std::fmt;

/// When the caller gets its return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Answered in the client: no record of its own crosses.
    Local,
    /// Recorded and returned at once.
    Posted,
    /// Waits for the reply.
    Awaited,
    /// softgpu has it; the client does not forward it yet: CUDA_ERROR_NOT_SUPPORTED.
    Soft,
    /// Answered with CUDA_ERROR_NOT_SUPPORTED.
    Absent,
}

/// Whether the driver call on the server can wait for GPU work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blocks {
    /// The dispatcher executes it inline, in order.
    Never,
    /// A helper thread executes it; the dispatcher goes on.
    Maybe,
}

/// Operation code of a record: any number; only those of the table mean something.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Op(pub u16);

/// One entry of the table.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Operation code.
    pub op: Op,
    /// When the caller gets its return value.
    pub class: Class,
    /// Whether the driver call can wait.
    pub blocks: Blocks,
    /// Symbol.
    pub name: &'static str,
    /// Parameters: name and type as written in the table.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Version of the prototype, as `cuGetProcAddress` counts.
    pub since: u32,
    /// Symbol and version of the per-thread-default-stream twin.
    pub twin: Option<(&'static str, u32)>,
    /// Which side is written by hand: empty, `hand`, `client`, `server`.
    pub by_hand: &'static str,
    /// What the call does.
    pub about: &'static str,
}

impl Call {
    /// Number of exported symbols: the entry's own and its twin's.
    pub fn symbols(&self) -> usize {
        1 + usize::from(self.twin.is_some())
    }
}

impl Class {
    /// As written in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Posted => "posted",
            Self::Awaited => "awaited",
            Self::Soft => "soft",
            Self::Absent => "absent",
        }
    }
}

impl Blocks {
    /// As written in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Maybe => "maybe",
        }
    }
}

impl Op {
    /// The entry of the table, if there is one.
    pub fn call(self) -> Option<&'static Call> {
        let at = CALLS.binary_search_by_key(&self, |call| call.op).ok()?;
        CALLS.get(at)
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.call() {
            Some(call) => f.write_str(call.name),
            None => write!(f, "op {:#06x}", self.0),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Reader: the table as data, and the legality of class × blocks at compile time.
macro_rules! calls { ($(
    $(#[doc = $about:literal])*
    $op:literal $class:ident $blocks:ident fn $name:ident(
        $($argument:ident: $type:ty),* $(,)?
    ) since $since:literal $(twin $twin:ident $twin_since:literal)?
    $(, $hand:ident $($by:ident)*)?;
)*) => {
    /// Every call of libcuda, in rising order of op code.
    pub static CALLS: &[Call] = &[$(
        Call {
            op: Op($op),
            class: calls!(@class $class),
            blocks: calls!(@blocks $class $blocks),
            name: stringify!($name),
            parameters: &[$((stringify!($argument), stringify!($type))),*],
            since: $since,
            twin: calls!(@twin $($twin $twin_since)?),
            by_hand: calls!(@hand $($hand)?),
            about: concat!($($about),*),
        },
    )*];

    /// Op codes by name.
    #[expect(non_upper_case_globals, reason = "CUDA's own names keep CUDA's spelling")]
    pub mod op {
        use super::Op;
        $(
            #[doc = concat!("Op code of `", stringify!($name), "`.")]
            pub const $name: Op = Op($op);
        )*
    }
};
(@class local) => { Class::Local };
(@class posted) => { Class::Posted };
(@class awaited) => { Class::Awaited };
(@class soft) => { Class::Soft };
(@class absent) => { Class::Absent };
(@blocks posted maybe) => {
    compile_error!("a posted call must never wait: the dispatcher executes it inline")
};
(@blocks soft maybe) => { compile_error!("a soft call executes nothing on the server") };
(@blocks absent maybe) => { compile_error!("an absent call executes nothing") };
(@blocks local maybe) => { compile_error!("a local call executes nothing on the server") };
(@blocks $class:ident never) => { Blocks::Never };
(@blocks $class:ident maybe) => { Blocks::Maybe };
(@twin) => { None };
(@twin $twin:ident $since:literal) => { Some((stringify!($twin), $since)) };
(@hand) => { "" };
(@hand by) => { "hand" };
(@hand client) => { "client" };
(@hand server) => { "server" };
}

crate::driver_calls!(calls);

/// Op codes rise: checked when the table is compiled.
const _: () = {
    let mut at = 1;
    while at < CALLS.len() {
        assert!(
            CALLS[at - 1].op.0 < CALLS[at].op.0,
            "op codes rise and are never reused"
        );
        at += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_finds_its_call() {
        assert_eq!(
            op::cuMemAlloc_v2.call().map(|call| call.name),
            Some("cuMemAlloc_v2")
        );
        assert_eq!(format!("{}", Op(0xffff)), "op 0xffff");
    }

    #[test]
    fn every_symbol_is_there_once() {
        let mut symbols: Vec<&str> = CALLS
            .iter()
            .flat_map(|call| std::iter::once(call.name).chain(call.twin.map(|twin| twin.0)))
            .collect();
        assert_eq!(symbols.len(), 699, "all driver symbols of CUDA 13.5");
        symbols.sort_unstable();
        symbols.dedup();
        assert_eq!(symbols.len(), 699);
    }
}
