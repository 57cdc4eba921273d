use super::*;

fn digest(fill: u8) -> Digest {
    Digest::from([fill; 32])
}

fn proof(attempt: u64, fill: Option<u8>) -> Proof {
    let told = fill.map(|fill| Given::Digest(digest(fill))).unwrap_or_default();
    Proof { attempt: Some(attempt), digest: told, picture: told }
}

fn decided(deciding: Proof, others: &[Proof]) -> Evidence {
    Evidence::Decided { deciding, others: others.into() }
}

#[test]
fn a_digest_is_compared_with_the_attempt_that_decides() {
    let given = |fill| Given::Digest(digest(fill));
    let two = decided(proof(2, Some(2)), &[proof(1, Some(1))]);
    let failed = decided(proof(2, None), &[proof(1, Some(1))]);
    let bare = decided(proof(1, None), &[]);
    let preview = decided(Proof { attempt: None, ..proof(0, Some(2)) }, &[]);
    let none = decided(Proof::default(), &[]);
    let odd = decided(Proof { digest: Given::Malformed, ..Proof::default() }, &[]);
    for (evidence, claim, verdict) in [
        (&two, given(2), Verdict::Match(Some(2))),
        (&two, given(1), Verdict::OtherAttempt(Some(1))),
        (&two, given(3), Verdict::Mismatch),
        (&two, Given::Nothing, Verdict::Unreported),
        (&two, Given::Malformed, Verdict::Malformed),
        (&failed, given(1), Verdict::OtherAttempt(Some(1))),
        (&failed, given(3), Verdict::Mismatch),
        (&failed, Given::Nothing, Verdict::Unavailable),
        (&bare, given(1), Verdict::Unavailable),
        (&bare, Given::Nothing, Verdict::Unavailable),
        (&bare, Given::Malformed, Verdict::Malformed),
        (&preview, given(2), Verdict::Match(None)),
        (&preview, given(1), Verdict::Mismatch),
        (&none, given(1), Verdict::Unavailable),
        (&none, Given::Nothing, Verdict::Unavailable),
        // What Azure tells and is no digest equals nothing, which is not the same as being absent.
        (&odd, given(1), Verdict::Mismatch),
        (&odd, Given::Malformed, Verdict::Malformed),
        (&odd, Given::Nothing, Verdict::Unreported),
        (&Evidence::Pending, given(1), Verdict::Pending),
        (&Evidence::Pending, Given::Nothing, Verdict::Pending),
        (&Evidence::Pending, Given::Malformed, Verdict::Malformed),
        (&Evidence::Unreadable, given(1), Verdict::Unavailable),
        (&Evidence::Unreadable, Given::Nothing, Verdict::Unavailable),
        (&Evidence::Unreadable, Given::Malformed, Verdict::Malformed),
    ] {
        assert_eq!(evidence.judge(claim), verdict, "{evidence:?} {claim:?}");
    }
}

#[test]
fn a_picture_is_compared_where_one_is_expected() {
    let given = |fill| Given::Digest(digest(fill));
    let told = decided(proof(2, Some(2)), &[proof(1, Some(1))]);
    let silent = decided(proof(2, None), &[proof(1, Some(1))]);
    for (evidence, claim, likeness) in [
        (&told, given(2), Some(Likeness::Match)),
        (&told, given(1), Some(Likeness::Mismatch)),
        (&told, Given::Malformed, Some(Likeness::Malformed)),
        (&told, Given::Nothing, None),
        (&silent, given(1), Some(Likeness::Unknown)),
        (&Evidence::Pending, given(1), Some(Likeness::Unknown)),
        (&Evidence::Unreadable, given(1), Some(Likeness::Unknown)),
    ] {
        assert_eq!(evidence.compare(claim), likeness, "{evidence:?} {claim:?}");
    }
}

#[test]
fn each_mode_refuses_what_it_says() {
    use Verdict::{Malformed, Match, Mismatch, OtherAttempt, Pending, Unavailable, Unreported};
    let one = Some(1);
    for verdict in
        [Match(one), Unavailable, Pending, Mismatch, OtherAttempt(one), Malformed, Unreported]
    {
        let contradicts = matches!(verdict, Mismatch | OtherAttempt(_) | Malformed);
        assert!(!Mode::Off.refuses(verdict) && !Mode::Observe.refuses(verdict));
        assert_eq!(Mode::Enforce.refuses(verdict), contradicts, "{verdict:?}");
        assert_eq!(Mode::Require.refuses(verdict), contradicts || verdict == Unreported);
    }
}
