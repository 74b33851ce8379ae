//! What became of a batch, to the wire and back.

use proto_model::{Cursor, Incarnation, Outcome, Refusal, Revision, SequenceGap, Timestamp};

use crate::{InvalidOutcome, names, v1};

impl From<&Outcome> for v1::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let refused = match outcome.refused {
            None => v1::Refusal::Unspecified,
            Some(Refusal::TooManyPublishers) => v1::Refusal::TooManyPublishers,
            Some(Refusal::BadSpace) => v1::Refusal::BadSpace,
            Some(Refusal::TooManyRoutes) => v1::Refusal::TooManyRoutes,
        };
        Self {
            applied: outcome.applied,
            duplicates: outcome.duplicates,
            stale: outcome.stale,
            restarted: outcome.restarted,
            gap: outcome.gap.map(|gap| v1::SequenceGap {
                expected: gap.expected,
                found: gap.found,
            }),
            refused: refused.into(),
            cursor: outcome.cursor.map(Into::into),
        }
    }
}

impl From<Cursor> for v1::Cursor {
    fn from(cursor: Cursor) -> Self {
        Self {
            incarnation: cursor.incarnation.0,
            next: cursor.next,
            timestamp_us: cursor.timestamp.0,
            trust: v1::Trust::from(cursor.trust).into(),
        }
    }
}

impl v1::AppendResponse {
    /// What became of a batch: its position, and an outcome per command.
    #[must_use]
    pub fn of(revision: Revision, outcomes: &[Outcome]) -> Self {
        Self {
            revision: revision.0,
            outcomes: outcomes.iter().map(Into::into).collect(),
        }
    }

    /// The position and the outcomes of a batch of `commands`.
    ///
    /// # Errors
    /// If there are not as many outcomes, or one has a value that is not known.
    pub fn read(self, commands: usize) -> Result<(Revision, Vec<Outcome>), InvalidOutcome> {
        if self.outcomes.len() != commands {
            return Err(InvalidOutcome::Count {
                found: self.outcomes.len(),
                expected: commands,
            });
        }
        let outcomes = self.outcomes.into_iter().map(TryInto::try_into);
        Ok((Revision(self.revision), outcomes.collect::<Result<_, _>>()?))
    }
}

impl TryFrom<v1::Outcome> for Outcome {
    type Error = InvalidOutcome;

    fn try_from(wire: v1::Outcome) -> Result<Self, Self::Error> {
        let unknown = |field, value| InvalidOutcome::Unknown { field, value };
        let refused = match v1::Refusal::try_from(wire.refused) {
            Ok(v1::Refusal::Unspecified) => None,
            Ok(v1::Refusal::TooManyPublishers) => Some(Refusal::TooManyPublishers),
            Ok(v1::Refusal::BadSpace) => Some(Refusal::BadSpace),
            Ok(v1::Refusal::TooManyRoutes) => Some(Refusal::TooManyRoutes),
            Err(_) => return Err(unknown("refused", wire.refused)),
        };
        let cursor = |cursor: v1::Cursor| {
            Ok(Cursor {
                incarnation: Incarnation(cursor.incarnation),
                next: cursor.next,
                timestamp: Timestamp(cursor.timestamp_us),
                trust: names::trust(cursor.trust)
                    .map_err(|value| unknown("cursor.trust", value.value))?,
            })
        };
        Ok(Self {
            applied: wire.applied,
            duplicates: wire.duplicates,
            stale: wire.stale,
            restarted: wire.restarted,
            gap: wire.gap.map(|gap| SequenceGap {
                expected: gap.expected,
                found: gap.found,
            }),
            refused,
            cursor: wire.cursor.map(cursor).transpose()?,
        })
    }
}
