//! Streams: created under the client's own handles, waited for on helpers.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::time::{Duration, Instant};

use flexdirect_wire::abi::{
    CuArray, CuContext, CuEvent, CuGraph, CuGraphExec, CuLibrary, CuMemoryPool, CuMipmappedArray,
    CuModule, CuStream, CuSurfObject, CuTexObject, Out,
};
use flexdirect_wire::body::{Create, One};
use flexdirect_wire::{CuError, Kind, ShadowHandle};

use crate::dispatch::{Call, Step, Stop};
use crate::driver::Driver;
use crate::driver::steps::Progress;
use crate::session::Session;
use crate::shadow::handles::Object;

pub(crate) fn cuStreamCreate(call: &mut Call<'_>) -> Result<Step, Stop> {
    create(call, |driver, stream, create| {
        // SAFETY: the pointer is the caller's local, which outlives the call.
        unsafe { driver.cuStreamCreate(stream, create.flags) }
    })
}

pub(crate) fn cuStreamCreateWithPriority(call: &mut Call<'_>) -> Result<Step, Stop> {
    create(call, |driver, stream, create| {
        // SAFETY: the pointer is the caller's local, which outlives the call.
        unsafe { driver.cuStreamCreateWithPriority(stream, create.flags, create.priority) }
    })
}

fn create(
    call: &mut Call<'_>,
    make: impl FnOnce(&Driver, Out<CuStream>, &Create) -> Result<(), CuError>,
) -> Result<Step, Stop> {
    let create: Create = call.body.get()?;
    let context = call.context()?.name;
    let name = ShadowHandle(create.handle);
    let session = call.session;
    session.tables().handles.check_vacant(Kind::STREAM, name)?;
    let mut stream = CuStream::default();
    make(&session.driver, Out(&raw mut stream), &create)?;
    let object = Object {
        driver: stream.0,
        context,
        ..Object::default()
    };
    let mut tables = session.tables();
    tables.handles.insert(Kind::STREAM, name, object)?;
    let is_blocking = create.flags & NON_BLOCKING == 0;
    tables.add_stream(&session.driver, name, (stream, context), is_blocking)?;
    Ok(Step::Done)
}

/// Waits for nothing: the driver frees the stream when its work is done.
pub(crate) fn cuStreamDestroy_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let stream = call.session.tables().remove_stream(ShadowHandle(value));
    let stream = stream.ok_or(CuError::INVALID_HANDLE)?;
    // SAFETY: the stream was taken out of the table, so this is the only destroy of it.
    unsafe { call.session.driver.cuStreamDestroy_v2(stream) }?;
    Ok(Step::Done)
}

pub(crate) fn cuStreamQuery(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let mut tables = session.tables();
    let queue = tables.queue(call.context.name, ShadowHandle(value))?;
    let mark = tables.mark(queue);
    drop(tables);
    if session.driver.query_stream(queue.driver)? == Progress::Busy {
        return Err(CuError::NOT_READY.into());
    }
    session.tables().done(mark);
    settled(call)
}

pub(crate) fn cuStreamSynchronize(call: &mut Call<'_>) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let session = call.session;
    let mut tables = session.tables();
    let queue = tables.queue(call.context.name, ShadowHandle(value))?;
    let mark = tables.mark(queue);
    drop(tables);
    if spin(session, || session.driver.query_stream(queue.driver))? == Progress::Done {
        // Waits for nothing, and prints what kernels have left.
        session.driver.synchronize_stream(queue.driver)?;
        session.tables().done(mark);
        return settled(call);
    }
    Call::later(move |desk| {
        desk.session.driver.synchronize_stream(queue.driver)?;
        desk.session.tables().done(mark);
        desk.session.landings.settle(desk.session);
        Ok(())
    })
}

/// The GPU is known to be done: what it has copied for the client is put before the reply.
pub(crate) fn settled(call: &mut Call<'_>) -> Result<Step, Stop> {
    if call.session.landings.is_empty() {
        return Ok(Step::Done);
    }
    Call::later(|desk| {
        desk.session.landings.settle(desk.session);
        Ok(())
    })
}

/// Asks whether something is done: repeatedly for a moment when nobody else is kept waiting by
/// that, since most waits are shorter than the way to a helper and back.
pub(crate) fn spin(
    session: &Session,
    query: impl Fn() -> Result<Progress, CuError>,
) -> Result<Progress, CuError> {
    let first = query()?;
    if first == Progress::Done || !session.threads.is_one() || !has_spare_processors() {
        return Ok(first);
    }
    let start = Instant::now();
    while start.elapsed() < SPIN {
        if query()? == Progress::Done {
            return Ok(Progress::Done);
        }
        std::hint::spin_loop();
    }
    Ok(Progress::Busy)
}

fn has_spare_processors() -> bool {
    use std::sync::OnceLock;
    static SPARE: OnceLock<bool> = OnceLock::new();
    *SPARE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|n| n.get() >= 4))
}

/// Destroys an object of a session that has ended. What belongs to a module or library, and memory,
/// ends with its owner.
pub(crate) fn destroy(driver: &Driver, kind: Kind, object: Object) {
    // SAFETY: the object was taken out of the table of a session that has no threads left, so this
    // is the only use of it from now on.
    let _ = unsafe {
        match kind {
            Kind::CONTEXT => driver.cuCtxDestroy_v2(CuContext(object.driver)),
            Kind::EVENT => driver.cuEventDestroy_v2(CuEvent(object.driver)),
            Kind::GRAPH if object.parent.is_null() => driver.cuGraphDestroy(CuGraph(object.driver)),
            Kind::GRAPH_EXEC => driver.cuGraphExecDestroy(CuGraphExec(object.driver)),
            Kind::LIBRARY => driver.cuLibraryUnload(CuLibrary(object.driver)),
            Kind::MODULE if object.parent.is_null() => {
                driver.cuModuleUnload(CuModule(object.driver))
            }
            // A device's own pool is refused, and stays.
            Kind::POOL => driver.cuMemPoolDestroy(CuMemoryPool(object.driver)),
            Kind::STREAM => driver.cuStreamDestroy_v2(CuStream(object.driver)),
            // A level ends with its mipmapped array.
            Kind::ARRAY if object.parent.is_null() => driver.cuArrayDestroy(CuArray(object.driver)),
            Kind::TEXTURE => driver.cuTexObjectDestroy(CuTexObject(object.driver)),
            Kind::SURFACE => driver.cuSurfObjectDestroy(CuSurfObject(object.driver)),
            Kind::MIPMAP => driver.cuMipmappedArrayDestroy(CuMipmappedArray(object.driver)),
            _ => Ok(()),
        }
    };
}

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;

/// How long a lone thread's wait is tried on the dispatcher: a helper takes about as long to wake.
const SPIN: Duration = Duration::from_micros(50);
