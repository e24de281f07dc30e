//! flexdirect-cuda-shim
