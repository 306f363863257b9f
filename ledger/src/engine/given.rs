//! Rows of parameters, given to one statement together.

use super::value::Value;

/// The parameters of as many runs of a statement as there are rows.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    width: usize,
    values: Vec<Value<'a>>,
}

impl<'a> Given<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The parameters of one run after the other.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[Value<'a>]> {
        self.values.chunks(self.width.max(1))
    }

    /// Each parameter's values in all runs.
    pub(super) fn columns(&self) -> impl Iterator<Item = impl Iterator<Item = Value<'a>>> {
        (0..self.width).map(|column| self.values.iter().skip(column).step_by(self.width).copied())
    }
}

impl<'a, const WIDTH: usize> FromIterator<[Value<'a>; WIDTH]> for Given<'a> {
    fn from_iter<T: IntoIterator<Item = [Value<'a>; WIDTH]>>(rows: T) -> Self {
        Self { width: WIDTH, values: rows.into_iter().flatten().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_what_was_given() {
        let given: Given<'_> =
            [[1, 2], [3, 4], [5, 6]].map(|row| row.map(Value::Integer)).into_iter().collect();
        let rows: Vec<_> = given.rows().map(<[_]>::to_vec).collect();
        assert_eq!(rows, [[1, 2], [3, 4], [5, 6]].map(|row| row.map(Value::Integer).to_vec()));
        let columns: Vec<Vec<_>> = given.columns().map(Iterator::collect).collect();
        assert_eq!(columns, [[1, 3, 5], [2, 4, 6]].map(|column| column.map(Value::Integer).to_vec()));
        assert_eq!(Given::default().rows().count(), 0);
    }
}
