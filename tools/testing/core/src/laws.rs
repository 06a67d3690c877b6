// SPDX-License-Identifier: GPL-2.0

//! The laws of rust/va that are types: code that breaks one does not compile.
//!
//! Two examples show each law: one keeps it and must compile, the other breaks it and must fail with the
//! named error. Both start from the same [`fixtures`], and differ in the one line that matters. The
//! crate's own `rustdoc` compares the number of the error, too.

/// The examples start from these.
pub mod fixtures {
    pub use crate::{
        sys::{
            mem::{Box, Mode},
            Page,
        },
        va::{
            area::{
                class::{Class, Lane},
                index::Index,
                link::{Link, Number, Numbers},
                Descriptors, Id, NO_ID,
            },
            flush::{
                epochs::{Epochs, Flushed, Stamp},
                plan::Planner,
            },
            space::{
                range::Range,
                shards::{Shards, Vacant},
            },
            stock::{
                depot::Depot,
                local::Local,
                magazine::{Chain, Clean, CleanId, Empty, Filling, Magazine, Sealed},
            },
        },
    };
}

/// A sealed magazine gets no more areas: it has its stamp.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(mut magazine: Filling, late: Id, epochs: &Epochs) -> Sealed {
///     magazine.push(late);
///     magazine.seal(epochs)
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use core_tests::laws::fixtures::*;
/// fn law(mut magazine: Filling, late: Id, epochs: &Epochs) -> Sealed {
///     let mut magazine = magazine.seal(epochs);
///     magazine.push(late);
///     magazine
/// }
/// ```
///
/// And the code that filled it does not keep it.
///
/// ```compile_fail,E0382
/// # use core_tests::laws::fixtures::*;
/// fn law(mut magazine: Filling, late: Id, epochs: &Epochs) -> Sealed {
///     let sealed = magazine.seal(epochs);
///     magazine.push(late);
///     sealed
/// }
/// ```
pub mod nothing_after_the_stamp {}

/// The depot takes clean magazines.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(depot: &Depot, class: Class, magazine: Sealed, flushed: &Flushed, numbers: &Numbers) {
///     if let Ok(magazine) = magazine.clean(flushed, numbers) {
///         depot.put(class, Chain::of(magazine));
///     }
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(depot: &Depot, class: Class, magazine: Sealed, flushed: &Flushed, numbers: &Numbers) {
///     depot.put(class, Chain::of(magazine));
/// }
/// ```
///
/// A CPU allocates from clean magazines.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(local: &mut Local, class: Class, magazine: Clean) {
///     local.load(class, magazine);
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(local: &mut Local, class: Class, magazine: Filling) {
///     local.load(class, magazine);
/// }
/// ```
pub mod stock_is_clean {}

/// A stamp is no flush: it takes a proof to clean a magazine.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(magazine: Sealed, epochs: &Epochs, numbers: &Numbers) -> Result<Clean, Sealed> {
///     let proof = epochs.flushed();
///     magazine.clean(&proof, numbers)
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(magazine: Sealed, epochs: &Epochs, numbers: &Numbers) -> Result<Clean, Sealed> {
///     let proof = epochs.stamp();
///     magazine.clean(&proof, numbers)
/// }
/// ```
///
/// Nobody makes a proof up.
///
/// ```compile_fail,E0451
/// # use core_tests::laws::fixtures::*;
/// fn law(magazine: Sealed, epochs: &Epochs, numbers: &Numbers) -> Result<Clean, Sealed> {
///     let proof = Flushed { through: u64::MAX, plan: 0 };
///     magazine.clean(&proof, numbers)
/// }
/// ```
///
/// A plan is none, as long as nobody has flushed it.
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(magazine: Sealed, epochs: &Epochs, numbers: &Numbers) -> Result<Clean, Sealed> {
///     let proof = Planner::new(epochs, 33).plan();
///     magazine.clean(&proof, numbers)
/// }
/// ```
///
/// Nobody puts a stamp on a magazine but who seals it.
///
/// ```compile_fail,E0616
/// # use core_tests::laws::fixtures::*;
/// fn law(mut magazine: Sealed, epochs: &Epochs, numbers: &Numbers) -> Result<Clean, Sealed> {
///     magazine.0.stamp = Stamp::NEVER;
///     magazine.clean(&epochs.flushed(), numbers)
/// }
/// ```
pub mod only_a_flush_cleans {}

/// Nobody makes a magazine, or an area, clean by saying so.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(magazine: Empty, class: Class) -> Clean {
///     magazine.stock(class)
/// }
/// ```
///
/// ```compile_fail,E0423
/// # use core_tests::laws::fixtures::*;
/// fn law(magazine: Box<Magazine>) -> Clean {
///     Clean(magazine)
/// }
/// ```
///
/// ```compile_fail,E0423
/// # use core_tests::laws::fixtures::*;
/// fn law(id: Id) -> CleanId {
///     CleanId(id)
/// }
/// ```
///
/// An area made of free space is clean. For any other area, it takes a proof.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(shards: &Shards, id: Id) -> Option<CleanId> {
///     let space = shards.take(2, 1, 0, Mode::Sleep).ok()?;
///     Some(CleanId::made(id, space))
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(shards: &Shards, id: Id) -> Option<CleanId> {
///     let space = Range { start: Page::new(0), pages: 2 };
///     Some(CleanId::made(id, space))
/// }
/// ```
pub mod clean_is_proved {}

/// A clean area goes to one place: nobody puts the same area into the stock twice.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(local: &mut Local, class: Class, area: CleanId) -> Result<(), CleanId> {
///     local.stock(class, area)
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use core_tests::laws::fixtures::*;
/// fn law(local: &mut Local, class: Class, area: CleanId) -> Result<(), CleanId> {
///     local.stock(class, area)?;
///     local.stock(class, area)
/// }
/// ```
pub mod one_area_once {}

/// Free space is clean: the extents take nothing back without a proof.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(shards: &Shards, area: CleanId, descriptors: &Descriptors) {
///     shards.give_back(&[area.vacate(descriptors)]);
/// }
/// ```
///
/// ```compile_fail,E0277
/// # use core_tests::laws::fixtures::*;
/// fn law(shards: &Shards, area: CleanId, descriptors: &Descriptors) {
///     let range = Range { start: Page::new(0), pages: 2 };
///     shards.give_back(&[range]);
/// }
/// ```
pub mod space_is_clean {}

/// A number of pages is no position: the index finds areas by position alone.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(index: &Index, range: Range) -> Id {
///     index.get(range.start.plus(range.pages))
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(index: &Index, range: Range) -> Id {
///     index.get(range.pages)
/// }
/// ```
///
/// A position is no number of pages, and the sum of two positions is nothing.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(range: Range, end: Page) -> Range {
///     Range { pages: end.since(range.start), ..range }
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(range: Range, end: Page) -> Range {
///     Range { pages: end, ..range }
/// }
/// ```
///
/// ```compile_fail,E0369
/// # use core_tests::laws::fixtures::*;
/// fn law(range: Range, end: Page) -> Range {
///     Range { start: range.start + end, ..range }
/// }
/// ```
pub mod counts_are_no_positions {}

/// Nobody calculates with names and numbers, or takes one for the other.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(descriptors: &Descriptors, id: Id, number: Number) {
///     if let Some(descriptor) = descriptors.get(id) {
///         descriptor.set_link(number.link());
///     }
/// }
/// ```
///
/// ```compile_fail,E0369
/// # use core_tests::laws::fixtures::*;
/// fn law(descriptors: &Descriptors, id: Id, number: Number) {
///     if let Some(descriptor) = descriptors.get(id + 1) {
///         descriptor.set_link(number.link());
///     }
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(descriptors: &Descriptors, id: Id, number: Number) {
///     if let Some(descriptor) = descriptors.get(id) {
///         descriptor.set_link(id);
///     }
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use core_tests::laws::fixtures::*;
/// fn law(numbers: &Numbers, number: Number) {
///     numbers.end(number.link());
/// }
/// ```
///
/// A class is no number of pages.
///
/// ```
/// # use core_tests::laws::fixtures::*;
/// fn law(class: Class) -> u32 {
///     class.pages()
/// }
/// ```
///
/// ```compile_fail,E0605
/// # use core_tests::laws::fixtures::*;
/// fn law(class: Class) -> u32 {
///     class as u32
/// }
/// ```
pub mod names_are_no_numbers {}
