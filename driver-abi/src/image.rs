//! Module images: what cuModuleLoadData and its relatives are given, as one value that can be
//! sent.
//!
//! The application gives a bare pointer to one of four things: a wrapper (magic 466243B1) that
//! points to containers, a container (a "fatbin", magic BA55ED50), an ELF cubin, or PTX text that
//! ends with a null byte. [`copy_image`] finds out which and how long it is; everything
//! after that works on bytes and trusts none of them.
//!
//! ```text
//! Image as bytes:  | magic "FDIM" | kind u32 | payload ...                          |
//!   fatbin         one container
//!   linked         the device-linked container, then those it was made from
//!   cubin          one ELF file
//!   PTX            text and its null byte
//! ```

mod choose;
mod compression;
mod container;
#[expect(
    unsafe_code,
    reason = "reads an image of unknown length behind the application's pointer"
)]
mod copy;
mod elf_len;
mod relocatable;

pub use choose::{describe, module_ptx, select_ptx};
pub use container::{Entries, Entry, EntryKind, entries, linked_container};
pub use copy::copy_image;
pub use relocatable::{archive_members, is_archive, object_containers};

/// Most bytes that an image may have: the largest containers of NVIDIA's libraries are some
/// hundreds of megabytes.
pub const IMAGE_LEN_MAX: u64 = 2 << 30;

/// Most bytes that one entry, or all PTX of an image, may have once decompressed.
pub const DECODED_LEN_MAX: u64 = 256 << 20;

/// Most containers that a linked image may carry: one for each object file of a program.
pub const CONTAINERS_MAX: usize = 4096;

/// Why bytes are not an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A payload did not decompress to what its header says.
    #[error("{format} payload of {len} bytes does not decompress: {reason}")]
    Compression {
        /// "zstd" or "LZ4".
        format: &'static str,
        /// Compressed length, in bytes.
        len: usize,
        /// What the decoder said.
        reason: String,
    },
    /// A structure does not add up.
    #[error("malformed {what} at byte {offset}")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// Where it starts, in bytes from the start of the file or container it belongs to.
        offset: u64,
    },
    /// The pointer was null.
    #[error("the image is a null pointer")]
    Null,
    /// Something is larger than a limit.
    #[error("{what} of {len} bytes, more than {len_max}")]
    TooLarge {
        /// The thing.
        what: &'static str,
        /// Its length, in bytes.
        len: u64,
        /// The limit, in bytes.
        len_max: u64,
    },
    /// The first bytes are those of no known form.
    #[error("an image that starts with {first:02x?} is of no known form")]
    Unrecognised {
        /// The first bytes, as many as were looked at.
        first: Vec<u8>,
    },
}

impl ImageError {
    /// The CUresult that a driver answers: INVALID_VALUE for a null pointer, else INVALID_IMAGE.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Null => 1,
            _ => 200,
        }
    }
}

/// What an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One ELF file for one architecture.
    Cubin,
    /// One container.
    Fatbin,
    /// A device-linked container, followed by the containers of the objects it was linked from.
    /// PTX is in the latter only, and belongs together: it is one module when loaded from there.
    Linked,
    /// PTX text.
    Ptx,
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Self::Fatbin => 1,
            Self::Linked => 2,
            Self::Cubin => 3,
            Self::Ptx => 4,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [Self::Fatbin, Self::Linked, Self::Cubin, Self::Ptx]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// An image, whole and copied; its bytes are what is sent and hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    kind: Kind,
    bytes: Vec<u8>,
}

impl Image {
    /// Takes the bytes of an image that came from elsewhere. What it carries is checked to lie
    /// within it, so that its payload may be given to a driver, which is told no length; payloads
    /// of entries are not looked into.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ImageError> {
        check_len("image", bytes.len() as u64, IMAGE_LEN_MAX)?;
        let malformed = ImageError::Malformed {
            what: "image head",
            offset: 0,
        };
        let head = bytes.first_chunk::<HEAD_LEN>().ok_or(malformed)?;
        let [magic, number] = [&head[..4], &head[4..]];
        let number = u32::from_le_bytes(number.try_into().expect("half of eight bytes"));
        let kind = Kind::from_number(number).filter(|_| magic == MAGIC);
        let kind = kind.ok_or_else(|| ImageError::Unrecognised {
            first: head.to_vec(),
        })?;
        let image = Self { kind, bytes };
        image.check()?;
        Ok(image)
    }

    /// An image from a payload whose kind is known, for example PTX that a linker step produced
    /// or an entry of a container. PTX may have no null byte or several, and a cubin padding
    /// behind it.
    pub fn new(kind: Kind, payload: &[u8]) -> Result<Self, ImageError> {
        let payload = match kind {
            Kind::Cubin => {
                let len = elf_len::elf_len(elf_len::from_slice(payload))?;
                usize::try_from(len)
                    .ok()
                    .and_then(|len| payload.get(..len))
                    .unwrap_or(payload)
            }
            Kind::Ptx => choose::text(payload),
            Kind::Fatbin | Kind::Linked => payload,
        };
        let mut bytes = head(kind, payload.len().saturating_add(1));
        bytes.extend_from_slice(payload);
        if kind == Kind::Ptx {
            bytes.push(0);
        }
        Self::from_bytes(bytes)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes to send, of which [`Image::from_bytes`] makes the image again.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes to send, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What the application gave: containers, ELF file, or text with its null byte. Starts 8 bytes
    /// into the bytes, so it is as aligned as they are; a driver can load a fatbin, a cubin and
    /// PTX from here.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[HEAD_LEN..]
    }

    /// The containers of a fatbin or linked image, the linked one first; none for other kinds.
    pub fn containers(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = match self.kind {
            Kind::Fatbin | Kind::Linked => self.payload(),
            Kind::Cubin | Kind::Ptx => &[],
        };
        std::iter::from_fn(move || {
            let (container, after) = rest.split_at(container::container_len(rest).ok()?);
            rest = after;
            Some(container)
        })
    }

    /// The PTX texts to run on a device of this capability (80 for 8.0), without their null
    /// bytes. More than one text makes up *one* module: symbols are resolved across them. Empty if
    /// there is no PTX.
    pub fn ptx(&self, capability: u32) -> Result<Vec<Vec<u8>>, ImageError> {
        match self.kind {
            Kind::Cubin => Ok(Vec::new()),
            Kind::Ptx => Ok(vec![choose::text(self.payload()).to_vec()]),
            Kind::Fatbin | Kind::Linked => {
                let mut texts = Vec::new();
                let mut len = 0;
                for (index, container) in self.containers().enumerate() {
                    let found = module_ptx(container, capability)?;
                    len += found.iter().map(|text| text.len() as u64).sum::<u64>();
                    check_len("PTX of an image", len, DECODED_LEN_MAX)?;
                    texts.extend(found);
                    // Should a linked container carry PTX, that stands for its objects'.
                    if index == 0 && !texts.is_empty() {
                        break;
                    }
                }
                Ok(texts)
            }
        }
    }

    /// Checks that the payload is what the kind says, to its last byte.
    fn check(&self) -> Result<(), ImageError> {
        let payload = self.payload();
        match self.kind {
            Kind::Cubin => {
                let len = elf_len::elf_len(elf_len::from_slice(payload))?;
                if len != payload.len() as u64 {
                    return Err(ImageError::Malformed {
                        what: "cubin length",
                        offset: len,
                    });
                }
            }
            Kind::Ptx => {
                // Exactly one null byte, the last.
                let end = payload.iter().position(|&byte| byte == 0);
                if end.is_none_or(|end| end + 1 != payload.len()) {
                    return Err(ImageError::Malformed {
                        what: "end of PTX",
                        offset: 0,
                    });
                }
            }
            Kind::Fatbin | Kind::Linked => self.check_containers()?,
        }
        Ok(())
    }

    fn check_containers(&self) -> Result<(), ImageError> {
        let (mut count, mut len) = (0usize, 0usize);
        for container in self.containers() {
            for entry in entries(container)? {
                entry?;
            }
            count += 1;
            len += container.len();
        }
        let count_max = if self.kind == Kind::Linked {
            CONTAINERS_MAX
        } else {
            1
        };
        if count == 0 || count > count_max || len != self.payload().len() {
            return Err(ImageError::Malformed {
                what: "list of containers",
                offset: len as u64,
            });
        }
        Ok(())
    }
}

/// The first bytes of an image's bytes, with room for a payload.
fn head(kind: Kind, payload_len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + payload_len);
    bytes.extend(MAGIC);
    bytes.extend(kind.number().to_le_bytes());
    bytes
}

fn check_len(what: &'static str, len: u64, len_max: u64) -> Result<(), ImageError> {
    if len > len_max {
        return Err(ImageError::TooLarge { what, len, len_max });
    }
    Ok(())
}

const MAGIC: [u8; 4] = *b"FDIM";
/// Keeps the payload aligned for an ELF file.
const HEAD_LEN: usize = 8;
