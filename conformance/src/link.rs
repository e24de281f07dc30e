//! The link suite: what every [`Link`] must keep, as functions over any way to make a pair.
//!
//! [`link_suite!`](crate::link_suite) makes tests of all of them for one link; `tests/link.rs`
//! does so for every link there is. The suite knows a link by its trait only, so that a new
//! transport is held to the same promises without a word added here.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use flexdirect_transport::Link;

#[expect(unsafe_code, reason = "names memory for bulk to land in")]
pub mod recorder;

pub mod end;
pub mod limits;
pub mod load;
pub mod order;
pub mod tcp;

/// Both ends of a link.
pub type Ends = (Arc<dyn Link>, Arc<dyn Link>);

/// A way to make links.
pub type Make = fn() -> Ends;

/// Runs a test body in a thread of its own and fails, instead of hanging, if it does not end.
///
/// # Panics
/// If the body panics or takes longer than [`BODY_TIME_MAX`].
pub fn within_bounds(body: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    let thread = std::thread::spawn(move || {
        body();
        // The receiver is gone only when the bound has passed already.
        let _ = done.send(());
    });
    match ended.recv_timeout(BODY_TIME_MAX) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        Err(RecvTimeoutError::Timeout) => panic!("still not done after {BODY_TIME_MAX:?}"),
    }
}

/// Far more than any body takes on a machine that is busy with other things.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(120);

/// Tests of one link: `link_suite!(tcp, make)` makes a module `tcp` with every test of the suite.
#[macro_export]
macro_rules! link_suite {
    ($name:ident, $make:expr) => {
        mod $name {
            $crate::link_suite! { @tests $make;
                order: batches_of_several_threads_keep_their_order,
                    bulk_lands_before_a_later_batch,
                    large_batches_of_several_threads_stay_whole,
                    puts_and_posts_of_several_threads_arrive_whole,
                    puts_queue_behind_what_was_posted,
                    side_lane_passes_a_full_main_lane,
                    sink_may_answer_from_within;
                load: both_ends_flood_at_once,
                    queue_drains_through_either_lane;
                limits: empty_things_arrive_as_promised,
                    largest_things_arrive,
                    oversize_is_refused_and_the_link_lives,
                    overrun_is_refused_and_the_link_lives,
                    overrun_of_the_side_lane_is_refused;
                end: close_wakes_every_waiter_of_both_ends,
                    close_is_final_and_says_why,
                    drop_ends_the_other_end,
                    panic_of_the_sink_ends_the_link,
                    sink_error_ends_the_link,
                    sink_with_too_little_memory_ends_the_link,
                    wake_is_kept_for_the_next_receive,
                    wake_reaches_each_lane;
            }
        }
    };
    (@tests $make:expr; $($topic:ident: $($test:ident),*;)*) => {
        $($(
            #[test]
            fn $test() {
                $crate::link::within_bounds(|| $crate::link::$topic::$test($make));
            }
        )*)*
    };
}
