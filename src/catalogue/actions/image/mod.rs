//! Machine images: who may launch them.

actions! {
    share_image::ShareImage,
}
