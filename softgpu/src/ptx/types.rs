//! Scalar types and state spaces, by the words PTX has for them.

/// A fundamental type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the PTX type of the same name")]
pub enum ScalarType {
    Pred,
    B8,
    B16,
    B32,
    B64,
    B128,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    F32,
    F64,
}

impl ScalarType {
    /// The type named `word` (without the dot).
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "pred" => Self::Pred,
            "b8" => Self::B8,
            "b16" => Self::B16,
            "b32" => Self::B32,
            // A texture, sampler or surface reference is a 64-bit handle.
            "b64" | "texref" | "samplerref" | "surfref" => Self::B64,
            "b128" => Self::B128,
            "u8" => Self::U8,
            "u16" => Self::U16,
            "u32" => Self::U32,
            "u64" => Self::U64,
            "s8" => Self::S8,
            "s16" => Self::S16,
            "s32" => Self::S32,
            "s64" => Self::S64,
            "f16" => Self::F16,
            "f16x2" => Self::F16x2,
            "bf16" => Self::Bf16,
            "bf16x2" => Self::Bf16x2,
            "f32" => Self::F32,
            "f64" => Self::F64,
            _ => return None,
        })
    }

    /// Size in memory, in bytes. A predicate has none; 1 is returned.
    #[must_use]
    pub fn size(self) -> u8 {
        match self {
            Self::Pred | Self::B8 | Self::U8 | Self::S8 => 1,
            Self::B16 | Self::U16 | Self::S16 | Self::F16 | Self::Bf16 => 2,
            Self::B32 | Self::U32 | Self::S32 | Self::F32 | Self::F16x2 | Self::Bf16x2 => 4,
            Self::B64 | Self::U64 | Self::S64 | Self::F64 => 8,
            Self::B128 => 16,
        }
    }

    /// Whether the type is a signed integer.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::S8 | Self::S16 | Self::S32 | Self::S64)
    }

    /// Whether the type is a floating-point one (packed halves included).
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(
            self,
            Self::F16 | Self::F16x2 | Self::Bf16 | Self::Bf16x2 | Self::F32 | Self::F64
        )
    }
}

/// A state space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// No space named: any of the others, told apart by the address.
    Generic,
    /// `.global`
    Global,
    /// `.const`
    Const,
    /// `.shared`
    Shared,
    /// `.local`
    Local,
    /// `.param`
    Param,
    /// `.reg`, for parameters of a `.func`.
    Register,
}

impl Space {
    /// The space named `word` (without the dot).
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "global" => Self::Global,
            "const" => Self::Const,
            // A cluster is one block here.
            "shared" | "shared::cta" | "shared::cluster" => Self::Shared,
            "local" => Self::Local,
            "param" | "param::entry" | "param::func" => Self::Param,
            _ => return None,
        })
    }
}

/// A component of a vector or of a special register, or parts of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the letters PTX uses")]
pub enum Component {
    X,
    Y,
    Z,
    W,
    /// Bytes or halves that an operand of a video instruction selects.
    Parts(Parts),
}

/// Bytes or halves of a word, as `.h1` or `.b3210` name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parts {
    /// Halves rather than bytes.
    pub halves: bool,
    indices: [u8; 4],
    count: u8,
}

impl Parts {
    fn from_word(word: &str) -> Option<Self> {
        let halves = word.starts_with('h');
        let digits = word.strip_prefix(['b', 'h'])?;
        let mut parts = Self {
            halves,
            indices: [0; 4],
            count: u8::try_from(digits.len()).ok()?,
        };
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        // Two words have eight bytes and four halves.
        let end = if halves { b'3' } else { b'7' };
        for (index, digit) in parts.indices.iter_mut().zip(digits.bytes()) {
            if !(b'0'..=end).contains(&digit) {
                return None;
            }
            *index = digit - b'0';
        }
        Some(parts)
    }

    /// Their numbers, the highest part of the result first.
    #[must_use]
    pub fn indices(&self) -> &[u8] {
        &self.indices[..usize::from(self.count)]
    }
}

impl Component {
    /// The component named `word`; colours are accepted as the manual has them.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "x" | "r" => Self::X,
            "y" | "g" => Self::Y,
            "z" | "b" => Self::Z,
            "w" | "a" => Self::W,
            _ => return Parts::from_word(word).map(Self::Parts),
        })
    }

    /// 0 to 3; 4 for what is no component of a vector.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::X => 0,
            Self::Y => 1,
            Self::Z => 2,
            Self::W => 3,
            Self::Parts(_) => 4,
        }
    }
}
