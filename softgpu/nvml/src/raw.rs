//! The driver's view of the host, by the name that its files know.

#[expect(unsafe_code, reason = "asks the C library about the host")]
#[path = "../../src/raw/machine.rs"]
pub(crate) mod machine;
