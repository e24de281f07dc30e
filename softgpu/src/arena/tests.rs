//! Tests of the arena: what is freed is merged, given back and never handed out twice.

use super::*;

const LEN: u64 = 1 << 20;

fn arena(name: &str) -> Arena {
    let name = format!("softgpu-arena-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    Arena::new(Ledger::new(path, 0, LEN), 0).unwrap()
}

fn allocate(arena: &Arena, len: u64) -> Option<u64> {
    let made = arena.allocate(len, 1, Purpose::Application);
    made.ok().map(|allocation| allocation.address)
}

#[test]
fn what_is_freed_is_merged() {
    let arena = arena("merge");
    let parts: Vec<u64> = (0..4).map(|_| allocate(&arena, LEN / 4).unwrap()).collect();
    assert_eq!(allocate(&arena, 1), None, "full");
    assert_eq!(arena.free_len(), 0);
    for index in [1, 3, 2, 0] {
        assert!(arena.free(parts[index], Purpose::Application));
    }
    assert!(!arena.free(parts[0], Purpose::Application), "freed once");
    assert_eq!(allocate(&arena, LEN), Some(parts[0]));
}

#[test]
fn what_is_skipped_for_an_alignment_stays_free() {
    let arena = arena("aligned");
    let first = allocate(&arena, 1).unwrap();
    let made = |alignment| arena.allocate_aligned(100, alignment, 1, Purpose::Module);
    let aligned = made(1 << 14).unwrap().address;
    assert!(aligned.is_multiple_of(1 << 14) && aligned > first);
    assert_eq!(allocate(&arena, 1), Some(first + GRANULE), "in the gap");
    assert_eq!((made(1 << 62), made(1 << 63)), (Err(Full), Err(Full)));
    assert!(arena.free(aligned, Purpose::Module));
    assert!(arena.free(first, Purpose::Application));
    assert!(arena.free(first + GRANULE, Purpose::Application));
    assert_eq!(allocate(&arena, LEN), Some(first), "nothing is lost");
}

#[test]
fn spans_stay_within_one_allocation() {
    let arena = arena("spans");
    let first = allocate(&arena, 100).unwrap();
    let second = allocate(&arena, 1000).unwrap();
    assert_eq!(second - first, GRANULE);
    assert!(arena.span(first, 100).is_some());
    assert!(arena.span(first + 99, 1).is_some());
    assert!(
        arena.span(first, 101).is_none(),
        "beyond what was asked for"
    );
    assert!(arena.span(first + 100, 0).is_none());
    assert!(arena.span(second + 1, usize::MAX).is_none(), "no overflow");
    assert!(arena.span(0, 1).is_none());
    assert!(
        !arena.free(first + 1, Purpose::Application),
        "not the start"
    );
    assert!(
        !arena.free(first, Purpose::Module),
        "not the application's to free"
    );
}

#[test]
fn freed_pages_go_back() {
    let arena = arena("pages");
    let small = allocate(&arena, 512).unwrap();
    let large = allocate(&arena, 64 << 10).unwrap();
    let span = arena.span(large, 64 << 10).unwrap();
    span.fill(&[7]);
    arena.span(small, 512).unwrap().fill(&[9]);
    arena.free(large, Purpose::Application);
    assert_eq!(arena.span(small, 512).unwrap().to_vec(), [9; 512]);
    let again = allocate(&arena, 64 << 10).unwrap();
    assert_eq!(again, large);
    let tail = arena.span(again + PAGE_LEN, 1000).unwrap();
    assert_eq!(tail.to_vec(), [0; 1000], "the pages were given back");
}

#[test]
fn a_context_takes_its_memory_along() {
    let arena = arena("context");
    let kept = arena.allocate(512, 2, Purpose::Application).unwrap();
    allocate(&arena, 512).unwrap();
    arena.allocate(512, 1, Purpose::Module).unwrap();
    arena.free_context(1);
    assert_eq!(arena.free_len(), LEN - 512);
    assert_eq!(arena.find(kept.address + 5), Some(kept));
}
