// SPDX-License-Identifier: GPL-2.0

//! Sorting, without the standard library's sort: that one needs much stack, and it panics if the
//! order contradicts itself, by a function that objtool does not know as one that never returns.

/// Sorts `values` by ascending `key`. Values of equal keys end up in any order.
///
/// Heapsort: in place, no recursion, O(n log n) in the worst case. Any context.
pub fn sort_by_key<T, K: Ord>(values: &mut [T], key: impl Fn(&T) -> K) {
    for top in (0..values.len() / 2).rev() {
        sift(values, top, &key);
    }
    // Moves the largest to the end, again and again.
    for end in (1..values.len()).rev() {
        swap(values, 0, end);
        sift(values.get_mut(..end).unwrap_or_default(), 0, &key);
    }
}

/// Moves the value at `top` down until no child has a larger key. Below `top`, each child's key is
/// at most its parent's already.
fn sift<T, K: Ord>(heap: &mut [T], mut top: usize, key: &impl Fn(&T) -> K) {
    loop {
        let left = top.saturating_mul(2).saturating_add(1);
        let child = |i: usize| heap.get(i).map(|value| (key(value), i));
        let Some((largest, i)) = child(left).max(child(left.saturating_add(1))) else {
            return;
        };
        if heap.get(top).is_none_or(|value| key(value) >= largest) {
            return;
        }
        swap(heap, top, i);
        top = i;
    }
}

/// Exchanges two values, `a` before `b`.
fn swap<T>(values: &mut [T], a: usize, b: usize) {
    let (low, high) = values.split_at_mut_checked(b).unwrap_or_default();
    if let (Some(a), Some(b)) = (low.get_mut(a), high.first_mut()) {
        core::mem::swap(a, b);
    }
}
