//! `printf` of a kernel against the host's own, over random formats and values.
//!
//! `PTX_LONG=1` tries a hundred times as many, `PTX_SEED` other ones.
#![expect(unsafe_code, reason = "calls the C library's printf")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::unwrap_used,
    reason = "test code"
)]

mod ptx_support;

use std::ffi::{CString, c_char, c_int};

use ptx_support::table::{Random, count, floats};
use ptx_support::{Arg, Gpu};

unsafe extern "C" {
    fn snprintf(to: *mut c_char, size: usize, format: *const c_char, ...) -> c_int;
}

/// A value among the arguments of a conversion.
#[derive(Debug, Clone)]
enum Value {
    Word(i32),
    Long(i64),
    Float(f64),
    Text(CString),
    NoText,
}

/// One conversion: its text, the arguments of its `*`, its value.
#[derive(Debug, Clone)]
struct One {
    format: String,
    stars: Vec<i32>,
    value: Option<Value>,
}

/// What the C library makes of it.
fn host(one: &One) -> Vec<u8> {
    let format = CString::new(one.format.as_str()).unwrap();
    let mut to = vec![0u8; 8192];
    let (at, size, format) = (to.as_mut_ptr().cast(), to.len(), format.as_ptr());
    macro_rules! call {
        ($($value:expr),*) => {
            match *one.stars.as_slice() {
                // SAFETY: the arguments are those that the format names, and live until the call
                // returns; the buffer has the size that is given.
                [] => unsafe { snprintf(at, size, format $(, $value)*) },
                // SAFETY: as above.
                [a] => unsafe { snprintf(at, size, format, a $(, $value)*) },
                // SAFETY: as above.
                [a, b, ..] => unsafe { snprintf(at, size, format, a, b $(, $value)*) },
            }
        };
    }
    let length = match &one.value {
        None => call!(),
        Some(Value::Word(value)) => call!(*value),
        Some(Value::Long(value)) => call!(*value),
        Some(Value::Float(value)) => call!(*value),
        Some(Value::Text(value)) => call!(value.as_ptr()),
        Some(Value::NoText) => call!(std::ptr::null::<c_char>()),
    };
    let length = usize::try_from(length).unwrap();
    assert!(length < size, "{one:?}");
    to.truncate(length);
    to
}

struct Source {
    random: Random,
    floats: Vec<u64>,
}

impl Source {
    fn below(&mut self, end: u64) -> u64 {
        (self.random.next() >> 20) % end
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len() as u64) as usize]
    }

    fn float(&mut self) -> f64 {
        let bits = self.random.next();
        match self.below(6) {
            0 => f64::from_bits(bits),
            1 => f64::from_bits(self.floats[(bits % self.floats.len() as u64) as usize]),
            2 => (bits % 2001) as f64 / 8.0 - 125.0,
            3 => (bits as i32 as f64) / 1000.0,
            4 => 10f64.powi((bits % 60) as i32 - 30),
            _ => [
                0.0,
                -0.0,
                f64::NAN,
                -f64::NAN,
                f64::INFINITY,
                -f64::INFINITY,
                0.5,
                2.5,
                999_999.5,
            ][(bits % 9) as usize],
        }
    }

    fn integer(&mut self) -> i64 {
        let bits = self.random.next();
        match self.below(4) {
            0 => bits as i64,
            1 => i64::from(bits as i8),
            2 => [0, 1, -1, i64::MAX, i64::MIN, 0x7fff_ffff, 0x8000_0000, 255][(bits % 8) as usize],
            _ => i64::from(bits as i32),
        }
    }

    /// A conversion that C defines.
    fn conversion(&mut self) -> One {
        let kind = self.pick(&[
            "d", "i", "u", "x", "X", "o", "c", "s", "p", "f", "F", "e", "E", "g", "G", "a", "A",
            "%",
        ]);
        let allowed: &[&str] = match kind {
            "d" | "i" => &["-", "+", " ", "0"],
            "u" => &["-", "0"],
            "x" | "X" | "o" => &["-", "#", "0"],
            "c" | "s" | "p" => &["-"],
            "%" => &[],
            // With `#` some C libraries cut zeros where rounding makes a number longer.
            "g" | "G" => &["-", "+", " ", "0"],
            _ => &["-", "+", " ", "#", "0"],
        };
        let mut one = One {
            format: "%".to_owned(),
            stars: Vec::new(),
            value: None,
        };
        if kind == "%" {
            one.format.push('%');
            return one;
        }
        for flag in allowed {
            if self.below(4) == 0 {
                one.format.push_str(flag);
            }
        }
        self.number(&mut one, 30);
        if !matches!(kind, "c" | "p") && self.below(2) == 0 {
            one.format.push('.');
            // Few hexadecimal digits, which are halfway cases now and then.
            let end = if matches!(kind, "a" | "A") { 4 } else { 25 };
            self.number(&mut one, end);
        }
        one.value = Some(match kind {
            "c" => Value::Word(33 + self.below(90) as i32),
            "p" => Value::Long(self.integer()),
            "s" if self.below(8) == 0 => Value::NoText,
            "s" => {
                let text = self.pick(&["", "a", "hello", "%d", "a longer text with spaces"]);
                Value::Text(CString::new(text).unwrap())
            }
            "d" | "i" | "u" | "x" | "X" | "o" => {
                let size = self.pick(&["", "hh", "h", "l", "ll", "j", "z", "t"]);
                one.format.push_str(size);
                if matches!(size, "" | "h" | "hh") {
                    Value::Word(self.integer() as i32)
                } else {
                    Value::Long(self.integer())
                }
            }
            _ => Value::Float(self.float()),
        });
        one.format.push_str(kind);
        one
    }

    /// A width or a precision: none, digits or `*`.
    fn number(&mut self, one: &mut One, end: u64) {
        match self.below(3) {
            0 => {}
            1 => one.format.push_str(&(1 + self.below(end)).to_string()),
            _ => {
                one.format.push('*');
                let value = self.below(2 * end) as i32 - end as i32 / 2;
                one.stars.push(value);
            }
        }
    }
}

/// The arguments packed as device code packs them; texts go to memory of their own.
fn pack(gpu: &Gpu, all: &[One]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let long = |bytes: &mut Vec<u8>, value: u64| {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend_from_slice(&value.to_le_bytes());
    };
    for one in all {
        for star in &one.stars {
            bytes.extend_from_slice(&star.to_le_bytes());
        }
        match &one.value {
            None => {}
            Some(Value::Word(value)) => bytes.extend_from_slice(&value.to_le_bytes()),
            Some(Value::Long(value)) => long(&mut bytes, value.cast_unsigned()),
            Some(Value::Float(value)) => long(&mut bytes, value.to_bits()),
            Some(Value::Text(text)) => long(&mut bytes, gpu.upload(text.as_bytes_with_nul())),
            Some(Value::NoText) => long(&mut bytes, 0),
        }
    }
    bytes
}

/// Every thread prints by a format and arguments of its own.
const TEXT: &str = ".version 7.0\n.target sm_80\n.address_size 64\n\
    .extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 v);\n\
    .visible .entry k(.param .u64 formats, .param .u64 values)\n{\n\
    .reg .b64 %f, %v; .reg .b32 %i; mov.u32 %i, %tid.x;\n\
    ld.param.u64 %f, [formats]; mad.wide.u32 %f, %i, 8, %f; ld.global.u64 %f, [%f];\n\
    ld.param.u64 %v, [values]; mad.wide.u32 %v, %i, 8, %v; ld.global.u64 %v, [%v];\n\
    { .param .b64 a; .param .b64 b; .param .b32 r; st.param.b64 [a], %f; st.param.b64 [b], %v;\n\
    call.uni (r), vprintf, (a, b); }\nret;\n}";

#[test]
fn formats_look_as_the_hosts_do() {
    let mut source = Source {
        random: Random::new(),
        floats: floats(52, 11),
    };
    for _ in 0..count(16) {
        let gpu = Gpu::with_arena(TEXT, 1 << 21);
        let (mut formats, mut values, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut tried = Vec::new();
        for _ in 0..256 {
            let all: Vec<One> = (0..1 + source.below(3))
                .map(|_| source.conversion())
                .collect();
            let mut format = String::new();
            let mut expected = Vec::new();
            for one in &all {
                format += "<";
                format += &one.format;
                expected.push(b'<');
                expected.extend_from_slice(&host(one));
            }
            // A mark that nothing prints.
            formats.push(gpu.upload(format!("{format}\u{1}\0").as_bytes()));
            values.push(gpu.upload(&pack(&gpu, &all)));
            wanted.push(expected);
            tried.push(all);
        }
        let arguments = [
            Arg::Address(gpu.upload_longs(&formats)),
            Arg::Address(gpu.upload_longs(&values)),
        ];
        gpu.launch("k", [1, 1, 1], [256, 1, 1], 0, &arguments)
            .unwrap();
        let printed = gpu.printed.lock().unwrap();
        let lines: Vec<&[u8]> = printed.split(|&byte| byte == 1).collect();
        assert_eq!(lines.len(), 257);
        for ((found, wanted), all) in lines.iter().zip(&wanted).zip(&tried) {
            let [found, wanted] = [found, wanted.as_slice()].map(String::from_utf8_lossy);
            assert_eq!(found, wanted, "{all:?}");
        }
    }
}
