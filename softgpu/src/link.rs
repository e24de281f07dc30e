//! Linking: PTX from several inputs becomes one image.
//!
//! What a link yields is a container with all the texts as they were, marked as belonging
//! together; loading it resolves symbols across them, as loading an `-rdc` program does. So a link
//! checks now what loading would find later: syntax, symbols that are missing or defined twice.

mod missing;

use std::sync::Mutex;

use flexdirect_driver_abi::image::{
    EntryKind, ImageError, archive_members, entries, is_archive, linked_container, module_ptx,
    object_containers,
};
use flexdirect_wire::abi::{CuError, CuLinkState};

use crate::attributes::CAPABILITY;
use crate::calls::jit::JitLog;
use crate::driver::trace;
use crate::exec::Program;
use crate::merge::merge;
use crate::module::Refused;
use crate::ptx::{self, Module};
use crate::raw::lock;
use missing::{definitions, missing};

/// A link in progress.
#[derive(Debug)]
pub(crate) struct Link {
    /// The application's name for it.
    pub(crate) handle: CuLinkState,
    /// What was added so far, and the application's logs.
    state: Mutex<(State, JitLog)>,
}

/// What was added to a link, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    texts: Vec<Text>,
    /// Members of libraries: taken in as far as they define what is missing.
    members: Vec<Text>,
    /// Whether the functions that the driver brings are among the members.
    has_own: bool,
    /// Inputs without PTX, for the log.
    without_ptx: Vec<String>,
    /// The image that was made, which the application reads until the link is destroyed, and its
    /// length in bytes.
    image: Option<(Vec<u64>, usize)>,
}

#[derive(Debug)]
struct Text {
    bytes: Vec<u8>,
    module: Module,
    /// It came out of a library: what nobody reaches of it is not missed.
    is_member: bool,
}

/// What an input is (CUDA Driver API, CUjitInputType).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Device code in any form but PTX: it says itself which.
    Binary,
    /// A library: what it lacks is not missed until it is.
    Library,
    /// PTX text.
    Ptx,
}

impl Link {
    /// A link to which nothing was added yet.
    pub(crate) fn new(handle: CuLinkState, log: JitLog) -> Self {
        let state = Mutex::new((State::default(), log));
        Self { handle, state }
    }

    /// One step, after which the application's logs are up to date.
    ///
    /// # Errors
    /// Those of the step.
    pub(crate) fn step<T>(
        &self,
        step: impl FnOnce(&mut State) -> Result<T, Refused>,
    ) -> Result<T, CuError> {
        let (state, log) = &mut *lock(&self.state);
        let result = step(state);
        if let Err(refused) = &result {
            trace(|| format!("link: {}", refused.reason));
        }
        log.report(result)
    }
}

impl State {
    /// Adds an input; `name` is for the log.
    ///
    /// # Errors
    /// INVALID_PTX, INVALID_IMAGE, NO_BINARY_FOR_GPU when it has device code but no PTX.
    pub(crate) fn add(&mut self, input: Input, bytes: &[u8], name: &str) -> Result<(), Refused> {
        let malformed = |error: ImageError| Refused {
            error: CuError::INVALID_IMAGE,
            reason: format!("{name}: {error}"),
        };
        if input == Input::Ptx {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            self.texts.push(parse(text.to_vec(), name)?);
            return Ok(());
        }
        if input == Input::Library || is_archive(bytes) {
            for member in archive_members(bytes).map_err(malformed)? {
                // A member of another kind is no device code.
                let containers = object_containers(member).unwrap_or_default();
                self.add_members(&containers, name);
            }
            return Ok(());
        }
        let containers = match bytes {
            [0x7f, b'E', b'L', b'F', ..] => object_containers(bytes).map_err(malformed)?,
            _ => vec![bytes],
        };
        let mut count = 0;
        for container in &containers {
            let texts = module_ptx(container, CAPABILITY).map_err(malformed)?;
            count += texts.len();
            for text in texts {
                self.texts.push(parse(text, name)?);
            }
        }
        if count == 0 {
            return Err(Refused {
                error: CuError::NO_BINARY_FOR_GPU,
                reason: format!("{name}: no PTX in {}", content(bytes, &containers)),
            });
        }
        Ok(())
    }

    fn add_members(&mut self, containers: &[&[u8]], name: &str) {
        for container in containers {
            let texts = module_ptx(container, CAPABILITY).unwrap_or_default();
            if texts.is_empty() {
                self.without_ptx.push(name.to_owned());
            }
            let parsed = texts.into_iter().filter_map(|text| parse(text, name).ok());
            self.members.extend(parsed.map(|text| Text {
                is_member: true,
                ..text
            }));
        }
    }

    /// Links: the address of the image, which lies there until the link is destroyed, and its
    /// length in bytes.
    ///
    /// # Errors
    /// INVALID_IMAGE for a symbol that is missing or defined twice; INVALID_VALUE when nothing was
    /// added.
    pub(crate) fn complete(&mut self) -> Result<(usize, usize), Refused> {
        let refused = |error: CuError, reason: String| Err(Refused { error, reason });
        if let Some((image, len)) = &self.image {
            return Ok((image.as_ptr().expose_provenance(), *len));
        }
        if self.texts.is_empty() {
            return refused(CuError::INVALID_VALUE, "nothing to link".to_owned());
        }
        let missing = self.take_members();
        if !missing.is_empty() {
            let mut reason = String::new();
            for name in &missing {
                reason.push_str(&format!("undefined reference to '{name}'\n"));
            }
            for name in &self.without_ptx {
                reason.push_str(&format!("{name} has no PTX and was left out\n"));
            }
            return refused(CuError::INVALID_IMAGE, reason.trim_end().to_owned());
        }
        let modules = self.texts.iter().map(|text| text.module.clone()).collect();
        if let Err(error) = Program::link(&merge(modules)) {
            return refused(CuError::INVALID_IMAGE, error.to_string());
        }
        let bytes = linked_container(self.texts.iter().map(|text| text.bytes.as_slice()));
        let len = bytes.len();
        // Whole words, so that it is as aligned as an image of a compiler is.
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let (image, len) = self.image.insert((words.collect(), len));
        Ok((image.as_ptr().expose_provenance(), *len))
    }

    /// Whether nothing more can be added.
    pub(crate) fn is_complete(&self) -> bool {
        self.image.is_some()
    }

    /// Takes members of libraries in for as long as they define what is missing: names of what is
    /// still missing then.
    fn take_members(&mut self) -> Vec<String> {
        if !self.has_own {
            self.has_own = true;
            let own = parse(OWN.as_bytes().to_vec(), "the driver's own functions");
            self.members.extend(own);
        }
        loop {
            let missing = missing(&self.texts);
            let wanted = self.members.iter().position(|member| {
                let mut defined = definitions(&member.module);
                defined.any(|name| missing.iter().any(|wanted| wanted == name))
            });
            let Some(index) = wanted else {
                return missing;
            };
            self.texts.push(self.members.remove(index));
        }
    }
}

/// Device functions that the driver brings.
const OWN: &str = include_str!("link/own.ptx");

fn parse(bytes: Vec<u8>, name: &str) -> Result<Text, Refused> {
    let module = ptx::parse(&String::from_utf8_lossy(&bytes));
    let module = module.map_err(|error| Refused {
        error: CuError::INVALID_PTX,
        reason: format!("{name}: {error}"),
    })?;
    Ok(Text {
        bytes,
        module,
        is_member: false,
    })
}

/// What an input has instead of PTX, for the log.
fn content(bytes: &[u8], containers: &[&[u8]]) -> String {
    if containers.is_empty() {
        return format!("a cubin or object file of {} bytes", bytes.len());
    }
    let entries = containers
        .iter()
        .filter_map(|container| entries(container).ok())
        .flatten()
        .flatten();
    let kinds: Vec<String> = entries
        .map(|entry| match entry.kind {
            EntryKind::CUBIN => format!("cubin sm_{}", entry.architecture),
            EntryKind::LTO => format!("LTO-IR {}", entry.architecture),
            EntryKind(kind) => format!("kind {kind}"),
        })
        .collect();
    format!("a container with {}", kinds.join(", "))
}
