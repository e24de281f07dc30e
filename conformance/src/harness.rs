//! Running programs as a user does, in a world of their own and with an end to every wait.
//!
//! ```text
//! World ── variables that separate one test's devices and processes from another's
//!   ├─ native(program)   program ── softgpu
//!   ├─ local(program)    flexdirect local ── program ── shim ══ worker ── softgpu
//!   └─ Daemon::start     flexdirect resource_scheduler
//!        └─ run(program) flexdirect run ── program ── shim ══ worker ── softgpu
//! ```

mod child;
mod daemon;
mod random;
mod stage;
mod world;

pub use child::{Child, Ended, Outcome};
pub use daemon::Daemon;
pub use random::Random;
pub use stage::{Library, flexdirect, kernel, library, program, root};
pub use world::World;

use std::time::Duration;

/// Upper bound of anything that should take a second or few: reached only by what hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
