//! How a thread steps back behind all others: it works in the time that nothing else wants.
//!
//! Niceness alone does not do: a thread that sleeps most of the time, as all of the gateway's do, then still waits at each waking
//! until the nice one's turn is over. One of the idle policy gives way at once (sched(7), `SCHED_IDLE`). On a machine that is busy all
//! the time it gets next to nothing: so this is for what must not be felt, and for nothing that others wait for.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// The highest niceness (nice(2)).
const LAST: i32 = 19;

/// Puts the thread that calls it last, for good. Where the system refuses, it takes its share like all else: nobody needs any
/// privilege for this, but a service may be forbidden to ask.
pub(super) fn step_back() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    // For where the policy was refused, and for people, who look at this column. On Linux it is the thread's own.
    let _ = rustix::process::nice(LAST);
}

/// Whether this thread has stepped back.
#[cfg(test)]
pub(super) fn has_stepped_back() -> bool {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    thread_priority::thread_schedule_policy() == Ok(idle) && rustix::process::nice(0) == Ok(LAST)
}
