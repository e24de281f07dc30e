//! flexdirect-conformance
