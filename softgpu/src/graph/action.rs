//! What a node of a graph does: the parameters that the application asks for again, and work that
//! can be executed many times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use flexdirect_driver_abi::launch::Shape;
use flexdirect_wire::abi::*;

use super::{Graph, GraphMemory};
use crate::callback;
use crate::calls::copy::Place;
use crate::calls::copy_rows::Transfer;
use crate::calls::launch::prepare;
use crate::context::Context;
use crate::event::Event;
use crate::function::Function;
use crate::raw::Span;
use crate::stream::Body;
use crate::values;

/// What a node does.
#[derive(Clone)]
pub(crate) struct Action {
    /// Its parameters, by kind.
    pub(crate) about: About,
    /// Its work, unless the graph itself does it (events, children).
    pub(crate) body: Option<Body>,
    /// Where the work is done; none for what belongs to no context.
    pub(crate) context: Option<Arc<Context>>,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Action").field(&self.about.kind()).finish()
    }
}

/// Parameters of a node.
#[derive(Clone, Debug)]
pub(crate) enum About {
    Allocate(Arc<GraphMemory>),
    Batch(Arc<Vec<CuStreamBatchMemOpParams>>),
    Child(Arc<Graph>),
    Copy(CudaMemcpy3d),
    Empty,
    Fill(CudaMemsetNodeParams),
    Free(Arc<GraphMemory>),
    Host(CudaHostNodeParams),
    Kernel(Arc<KernelAbout>),
    Record(Arc<Event>),
    Wait(Arc<Event>),
}

/// Parameters of a kernel node.
#[derive(Debug)]
pub(crate) struct KernelAbout {
    /// The kernel.
    pub(crate) function: Arc<Function>,
    /// Grid, block, shared memory.
    pub(crate) shape: Shape,
    /// Whether all blocks are resident at once.
    pub(crate) is_cooperative: bool,
    /// Values of the parameters in their layout.
    pub(crate) values: Vec<u8>,
    /// Address of each value: what a query gives, valid until the parameters are set again.
    pub(crate) addresses: Vec<usize>,
    /// Those that were set, by CUlaunchAttributeID.
    pub(crate) attributes: Mutex<BTreeMap<u32, CuLaunchAttributeValue>>,
}

impl About {
    /// CUgraphNodeType.
    pub(crate) fn kind(&self) -> u32 {
        match self {
            Self::Kernel(_) => 0,
            Self::Copy(_) => 1,
            Self::Fill(_) => 2,
            Self::Host(_) => 3,
            Self::Child(_) => 4,
            Self::Empty => 5,
            Self::Wait(_) => 6,
            Self::Record(_) => 7,
            Self::Allocate(_) => 10,
            Self::Free(_) => 11,
            Self::Batch(_) => 12,
        }
    }

    /// Whether it allocates or frees.
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self, Self::Allocate(_) | Self::Free(_))
    }

    /// Whether an executable graph may leave such a node out.
    pub(crate) fn can_be_disabled(&self) -> bool {
        matches!(self, Self::Kernel(_) | Self::Copy(_) | Self::Fill(_))
    }
}

impl Action {
    /// An action without work of its own.
    pub(crate) fn of_graph(about: About) -> Self {
        Self {
            about,
            body: None,
            context: None,
        }
    }

    /// An action of a context that the graph itself does.
    pub(crate) fn without_body(about: About, context: &Arc<Context>) -> Self {
        Self {
            about,
            body: None,
            context: Some(Arc::clone(context)),
        }
    }

    fn new(about: About, body: Body, context: &Arc<Context>) -> Self {
        Self {
            about,
            body: Some(body),
            context: Some(Arc::clone(context)),
        }
    }

    /// A launch.
    ///
    /// # Errors
    /// Those of the launch.
    pub(crate) fn kernel(
        context: &Arc<Context>,
        function: &Arc<Function>,
        (shape, is_cooperative): (Shape, bool),
        values: Vec<u8>,
    ) -> Result<Self, CuError> {
        let body = prepare(context, function, shape, is_cooperative, values.clone())?;
        let start = values.as_ptr().expose_provenance();
        let addresses = function.parameters.iter();
        let addresses = addresses.map(|parameter| start + parameter.offset as usize);
        let about = KernelAbout {
            function: Arc::clone(function),
            shape,
            is_cooperative,
            addresses: addresses.collect(),
            values,
            attributes: Mutex::default(),
        };
        Ok(Self::new(About::Kernel(Arc::new(about)), body, context))
    }

    /// A copy.
    ///
    /// # Errors
    /// Those of the copy.
    pub(crate) fn copy(context: &Arc<Context>, described: &CudaMemcpy3d) -> Result<Self, CuError> {
        let transfer = Transfer::new(described)?;
        let device = context.device();
        let body = move || {
            let _moving = device.arena.moving();
            if let Some(transfer) = &transfer {
                transfer.execute();
            }
            Ok(())
        };
        Ok(Self::new(About::Copy(*described), Arc::new(body), context))
    }

    /// A memset.
    ///
    /// # Errors
    /// INVALID_VALUE for what is not memory of a device, or not aligned.
    pub(crate) fn fill(
        context: &Arc<Context>,
        fill: &CudaMemsetNodeParams,
    ) -> Result<Self, CuError> {
        const BAD: CuError = CuError::INVALID_VALUE;
        let size = fill.element_size as usize;
        if ![1, 2, 4].contains(&size) || !fill.target.is_multiple_of(size as u64) {
            return Err(BAD);
        }
        let width = fill.width.checked_mul(size).filter(|&width| width > 0);
        let width = width.ok_or(BAD)?;
        let rows = fill.height.checked_sub(1).ok_or(BAD)?;
        let pitch = if rows == 0 { width } else { fill.pitch };
        if pitch < width || !pitch.is_multiple_of(size) {
            return Err(BAD);
        }
        let reach = rows
            .checked_mul(pitch)
            .and_then(|len| len.checked_add(width));
        let place = Place::device(CuDevicePtr(fill.target), reach.ok_or(BAD)?)?;
        let start = place.span().address();
        let held = place.held();
        let pattern = fill.value.to_le_bytes()[..size].to_vec();
        let device = context.device();
        let body = move || {
            let _moving = device.arena.moving();
            let _held = &held;
            for row in 0..=rows {
                Span::new(start + (row * pitch) as u64, width).fill(&pattern);
            }
            Ok(())
        };
        Ok(Self::new(About::Fill(*fill), Arc::new(body), context))
    }

    /// A host function.
    ///
    /// # Errors
    /// INVALID_VALUE for none.
    pub(crate) fn host(host: CudaHostNodeParams) -> Result<Self, CuError> {
        if host.function.0 == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let body = move || {
            callback::host(host.function, host.user_data);
            Ok(())
        };
        Ok(Self {
            about: About::Host(host),
            body: Some(Arc::new(body)),
            context: None,
        })
    }

    /// Memory operations.
    ///
    /// # Errors
    /// Those of the operations.
    pub(crate) fn batch(
        context: &Arc<Context>,
        operations: Vec<CuStreamBatchMemOpParams>,
    ) -> Result<Self, CuError> {
        let body = values::prepare(context, &operations)?;
        let about = About::Batch(Arc::new(operations));
        Ok(Self::new(about, body, context))
    }
}
