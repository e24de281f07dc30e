//! Shadow memory: what a session holds on behalf of its client, and where the client's claims about
//! it are checked.

pub(crate) mod arrays;
pub(crate) mod contexts;
pub(crate) mod graphs;
pub mod handles;
#[expect(
    unsafe_code,
    reason = "names staging memory to the link that writes there"
)]
pub(crate) mod hostfn;
pub(crate) mod images;
pub(crate) mod landings;
#[expect(
    unsafe_code,
    reason = "maps host memory that links write to and drivers read from"
)]
pub(crate) mod mapping;
#[expect(
    unsafe_code,
    reason = "has streams move bytes between memory of this process"
)]
pub(crate) mod mirrors;
pub mod ranges;
pub(crate) mod retire;
#[expect(
    unsafe_code,
    reason = "names memory of the slab to the link that writes there"
)]
pub mod slab;
pub(crate) mod spaces;
#[expect(
    unsafe_code,
    reason = "reads and writes memory that kernels use meanwhile"
)]
pub(crate) mod twins;
