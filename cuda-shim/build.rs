//! Names the library as CUDA programs look for it, and keeps it loaded: its thread and its exit
//! handler must not lose their code to a dlclose.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
