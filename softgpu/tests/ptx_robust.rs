//! Images are untrusted: whatever a text holds, parsing, linking and decoding end with a value or
//! an error, and what decodes can be run without harm to the process.
#![allow(
    clippy::unwrap_used,
    unsafe_code,
    reason = "test code; the arena is raw memory"
)]

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use softgpu_cuda::exec::{Extras, Launch, Memory, Program, run};
use softgpu_cuda::ptx;

const TEXTS: [&str; 4] = [
    include_str!("fixtures/core.ptx"),
    include_str!("fixtures/core_debug.ptx"),
    include_str!("fixtures/more.ptx"),
    include_str!("fixtures/rare.ptx"),
];

fn decode(text: &str) -> Option<Program> {
    let program = Program::link(&ptx::parse(text).ok()?).ok()?;
    let names: Vec<String> = program.kernel_names().map(str::to_owned).collect();
    for name in names {
        let _ = program.parameters(&name);
        let _ = program.kernel(&name);
    }
    Some(program)
}

/// A fixture with a few pieces replaced, removed or repeated.
fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(";".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just(",".to_owned()),
        Just("[".to_owned()),
        Just("4294967295".to_owned()),
        Just("-1".to_owned()),
        Just("%r1".to_owned()),
        Just("%rd1".to_owned()),
        Just("%p1".to_owned()),
        Just("%tid.x".to_owned()),
        Just(".u64".to_owned()),
        Just(".pred".to_owned()),
        Just(".b8".to_owned()),
        Just("_".to_owned()),
        "[ -~]{0,6}",
    ];
    (
        0..TEXTS.len(),
        prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, piece), 1..6),
    )
        .prop_map(|(text, edits)| {
            let mut bytes = TEXTS[text].as_bytes().to_vec();
            for (at, length, piece) in edits {
                let start = at.index(bytes.len());
                let end = (start + length).min(bytes.len());
                bytes.splice(start..end, piece.into_bytes());
            }
            String::from_utf8(bytes).unwrap()
        })
}

/// A line in which one word of an instruction is another instruction's.
fn shuffled_words() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        1..8,
    );
    (0..TEXTS.len(), edits).prop_map(|(text, edits)| {
        let mut words: Vec<&str> = TEXTS[text]
            .split_inclusive([' ', '\t', '\n', ',', '.'])
            .collect();
        for (to, from) in edits {
            let from = words[from.index(words.len())];
            let to = to.index(words.len());
            words[to] = from;
        }
        words.concat()
    })
}

fn run_all(program: &Program) {
    let mut arena = vec![0u64; 1 << 12];
    // SAFETY: the vector lives until the end of the function and is not touched before.
    let memory = unsafe { Memory::new(arena.as_mut_ptr().cast(), arena.len() * 8) };
    let base = memory.base();
    // A watchdog ends kernels that a mutation made endless.
    let cancel = AtomicBool::new(false);
    let names: Vec<String> = program.kernel_names().map(str::to_owned).collect();
    for name in names {
        let Some(Ok(kernel)) = program.kernel(&name) else {
            continue;
        };
        let length = kernel.parameter_bytes().min(1 << 16) as usize;
        let mut parameters: Vec<u8> = base
            .to_le_bytes()
            .iter()
            .copied()
            .cycle()
            .take(length)
            .collect();
        parameters.resize(length, 0);
        std::thread::scope(|scope| {
            let (done, ended) = std::sync::mpsc::channel::<()>();
            let cancel = &cancel;
            scope.spawn(move || {
                if ended
                    .recv_timeout(std::time::Duration::from_millis(50))
                    .is_err()
                {
                    cancel.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            });
            let _ = run(&Launch {
                kernel: &kernel,
                grid: [2, 1, 1],
                block: [40, 1, 1],
                dynamic_shared_bytes: 256,
                parameters: &parameters,
                memory: memory.clone(),
                globals: &|_| Some(base),
                workers: 1,
                cancel,
                print: &|_| (),
                cooperative_workspace: None,
                extras: Extras::default(),
            });
            let _ = done.send(());
        });
        cancel.store(false, std::sync::atomic::Ordering::Relaxed);
    }
    drop(arena);
}

/// A hundred times as many with `PTX_LONG=1`.
fn cases() -> u32 {
    if std::env::var_os("PTX_LONG").is_some_and(|value| value != "0") {
        9600
    } else {
        96
    }
}

#[test]
fn rare_instructions_are_known() {
    let program = decode(TEXTS[3]).unwrap();
    assert!(program.kernel("rare").unwrap().is_ok());
    run_all(&program);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC*") {
        let _ = decode(&text);
    }

    #[test]
    fn any_bytes_parse_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_mutated_module_decodes_or_is_refused(text in mutated()) {
        let _ = decode(&text);
    }

    #[test]
    fn a_module_of_mixed_words_runs_or_is_refused(text in shuffled_words()) {
        if let Some(program) = decode(&text) {
            run_all(&program);
        }
    }
}

#[test]
fn deep_nesting_and_huge_declarations_are_refused_or_bounded() {
    let deep = format!(".visible .entry k() {{ {} }}", "{".repeat(100_000));
    assert!(ptx::parse(&deep).is_err());
    let vectors = format!(".entry k() {{ mov.b32 %r, {}1; }}", "{".repeat(100_000));
    assert!(decode(&vectors).is_none_or(|program| program.kernel("k").unwrap().is_err()));
    let negations = format!(
        ".entry k() {{ mov.pred %p, {}%q; ret; }}",
        "!".repeat(100_000)
    );
    let _ = decode(&negations);
    assert!(ptx::parse(".global .b8 a[99999999999][99999999999];").is_err());
    assert!(decode(".entry k() { .reg .b32 %r<4294967295>; mov.u32 %r9, 1; ret; }").is_some());
    let local = ".entry k() { .local .b8 a[9999999999]; ret; }";
    assert!(decode(local).unwrap().kernel("k").unwrap().is_err());
}
