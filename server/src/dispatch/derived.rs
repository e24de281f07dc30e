//! The server half of the derived calls, and the list of all handlers.

use flexdirect_wire::abi::*;
use flexdirect_wire::call::Op;
use flexdirect_wire::param::Param;
use flexdirect_wire::record::{Reader, Writer};

use super::{Call, Desk, Handler, Resolver, Step, Stop};
use crate::driver::Driver;
use crate::hand;

/// Reader: one entry for each call, in rising order of op code.
macro_rules! entries { ($(
    $(#[doc = $about:literal])*
    $op:literal $class:ident $blocks:ident fn $name:ident(
        $($argument:ident: $type:ty),* $(,)?
    ) since $since:literal $(twin $twin:ident $twin_since:literal)?
    $(, $hand:ident $($by:ident)*)?;
)*) => {
    /// Handler of each call, if it has one.
    pub(super) static ENTRIES: &[(Op, Option<Handler>)] = &[$(
        (
            Op($op),
            entries!(@handler $class $blocks $name [$($hand)?] ($($argument: $type),*)),
        ),
    )*];
};
(@handler local $blocks:ident $name:ident $hand:tt $arguments:tt) => { None };
(@handler soft $blocks:ident $name:ident $hand:tt $arguments:tt) => { None };
(@handler absent $blocks:ident $name:ident $hand:tt $arguments:tt) => { None };
(@handler $class:ident $blocks:ident $name:ident [by] $arguments:tt) => { Some(hand::$name) };
(@handler $class:ident $blocks:ident $name:ident [server] $arguments:tt) => { Some(hand::$name) };
(@handler $class:ident $blocks:ident $name:ident [$($client:ident)?]
    ($($argument:ident: $type:ty),*)
) => { entries!(@derive $blocks $name {} [$($type,)*] [a b c d e f]) };
(@derive $blocks:ident $name:ident {$($done:tt)*}
    [$type:ty, $($types:ty,)*] [$free:ident $($frees:ident)*]
) => {
    entries!(@derive $blocks $name {$($done)* $free: $type,} [$($types,)*] [$($frees)*])
};
(@derive $blocks:ident $name:ident {$($argument:ident: $type:ty,)*} [] $frees:tt) => { {
    fn handle(call: &mut Call<'_>) -> Result<Step, Stop> {
        hand::guard(call)?;
        #[allow(unused_mut, unused_variables, reason = "some calls have no arguments")]
        let mut objects = call.objects();
        #[allow(unused_variables, reason = "some calls have no arguments")]
        let body: &mut Reader<'_> = &mut call.body;
        $(
            #[allow(unused_mut, reason = "what is lent by value does not change")]
            let mut $argument = match <$type as Param>::take(body, &mut objects) {
                Ok(slot) => slot,
                Err(refused) => return Err(objects.stop(refused)),
            };
        )*
        #[allow(unused_mut, reason = "what is lent by value does not change")]
        #[allow(unused_variables, reason = "some calls answer nothing")]
        let mut work = move |driver: &Driver, reply: &mut Writer<'_>| -> CuResult {
            // SAFETY: the slots live until the end of this closure's call and do not move, so what
            // they lend is valid for it (the contract of Param); the handles among them were
            // resolved in the session's table.
            unsafe { driver.$name($(<$type as Param>::lend(&mut $argument)),*) }?;
            $(<$type as Param>::answer(&$argument, reply);)*
            Ok(())
        };
        entries!(@run $blocks call work)
    }
    Some(handle as Handler)
} };
(@run never $call:ident $work:ident) => { {
    let session = $call.session;
    $work(&session.driver, &mut $call.answer())?;
    Ok(Step::Done)
} };
(@run maybe $call:ident $work:ident) => {
    Call::later(move |desk: &mut Desk<'_>| {
        let session = desk.session;
        $work(&session.driver, &mut desk.answer())
    })
};
}

flexdirect_wire::driver_calls!(entries);

impl<'a> Call<'a> {
    fn objects(&self) -> Resolver<'a> {
        Resolver {
            session: self.session,
            context: self.context.name,
            error: None,
        }
    }
}

impl Resolver<'_> {
    /// A refusal, or the driver's own error where resolving met one.
    fn stop(&self, refused: flexdirect_wire::param::Refused) -> Stop {
        match self.error {
            Some(error) => Stop::Call(error),
            None => refused.into(),
        }
    }
}
