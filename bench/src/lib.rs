//! flexdirect-bench
