//! Which Token-2022 extensions a channel's mint and token accounts may carry.
//!
//! Only extensions that cannot change what a transfer moves, who may move it, or whether it succeeds: metadata and
//! groups on a mint, an immutable owner on an account. Everything else is refused by its mere presence, so that a
//! new extension is refused until someone has thought about it.

/// `ImmutableOwner`: the account's owner cannot be changed.
const IMMUTABLE_OWNER: u16 = 7;
/// `MetadataPointer`, `TokenMetadata`, `GroupPointer`, `TokenGroup`, `GroupMemberPointer`, `TokenGroupMember`.
const METADATA_AND_GROUPS: core::ops::RangeInclusive<u16> = 18..=23;

/// Whether an extension type may stand on an account of some kind.
pub(super) type Policy = fn(u16) -> bool;

/// Mints: metadata and groups.
pub(super) const MINT_EXTENSIONS: Policy = |extension| METADATA_AND_GROUPS.contains(&extension);

/// Token accounts: an immutable owner.
pub(super) const ACCOUNT_EXTENSIONS: Policy = |extension| extension == IMMUTABLE_OWNER;

/// What is wrong with an account's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionFault {
    /// One that the policy does not allow.
    Unsupported,
    /// Bytes that are no list of extensions.
    Malformed,
}

/// Walks the entries `type u16 | length u16 | value`, up to a type of zero or the end.
pub(super) fn check(mut entries: &[u8], policy: Policy) -> Result<(), ExtensionFault> {
    loop {
        let Some((extension, rest)) = entries.split_first_chunk::<2>() else {
            return if entries.iter().all(|byte| *byte == 0) {
                Ok(())
            } else {
                Err(ExtensionFault::Malformed)
            };
        };
        let extension = u16::from_le_bytes(*extension);
        if extension == 0 {
            return Ok(());
        }
        let Some((length, values)) = rest.split_first_chunk::<2>() else {
            return Err(ExtensionFault::Malformed);
        };
        let known = extension == IMMUTABLE_OWNER || METADATA_AND_GROUPS.contains(&extension);
        if !known {
            return Err(ExtensionFault::Unsupported);
        }
        let Some(rest) = values.get(usize::from(u16::from_le_bytes(*length))..) else {
            return Err(ExtensionFault::Malformed);
        };
        if !policy(extension) {
            return Err(ExtensionFault::Unsupported);
        }
        entries = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(extension: u16, value: &[u8]) -> Vec<u8> {
        let header = [extension.to_le_bytes(), (value.len() as u16).to_le_bytes()].concat();
        [header, value.to_vec()].concat()
    }

    #[test]
    fn an_empty_list_passes() {
        assert_eq!(check(&[], ACCOUNT_EXTENSIONS), Ok(()));
        assert_eq!(check(&[0], ACCOUNT_EXTENSIONS), Ok(()));
    }

    #[test]
    fn a_lone_byte_that_is_not_padding_is_malformed() {
        assert_eq!(check(&[7], ACCOUNT_EXTENSIONS), Err(ExtensionFault::Malformed));
    }

    #[test]
    fn each_kind_of_account_has_its_own_extensions() {
        for extension in 0..=40 {
            let entries = entry(extension, &[1, 2, 3]);
            let on_mint = check(&entries, MINT_EXTENSIONS).is_ok();
            let on_account = check(&entries, ACCOUNT_EXTENSIONS).is_ok();
            assert_eq!(on_mint, extension == 0 || (18..=23).contains(&extension), "{extension} on a mint");
            assert_eq!(on_account, extension == 0 || extension == 7, "{extension} on an account");
        }
    }

    #[test]
    fn an_entry_without_its_length_is_malformed_whatever_its_type() {
        assert_eq!(check(&[7, 0], ACCOUNT_EXTENSIONS), Err(ExtensionFault::Malformed));
        assert_eq!(check(&[8, 0, 0], ACCOUNT_EXTENSIONS), Err(ExtensionFault::Malformed));
    }

    #[test]
    fn an_unknown_type_is_unsupported_before_its_length_is_believed() {
        assert_eq!(check(&[8, 0, 255, 255], ACCOUNT_EXTENSIONS), Err(ExtensionFault::Unsupported));
    }

    #[test]
    fn a_known_type_that_runs_over_the_end_is_malformed_before_the_policy_is_asked() {
        assert_eq!(check(&[18, 0, 1, 0], ACCOUNT_EXTENSIONS), Err(ExtensionFault::Malformed));
        assert_eq!(check(&[7, 0, 1, 0], ACCOUNT_EXTENSIONS), Err(ExtensionFault::Malformed));
    }

    #[test]
    fn what_follows_a_zero_type_is_not_read() {
        assert_eq!(check(&[7, 0, 0, 0, 0, 0, 99, 99, 99], ACCOUNT_EXTENSIONS), Ok(()));
    }

    #[test]
    fn a_bad_entry_behind_a_good_one_is_found() {
        let entries = [entry(7, &[]), entry(8, &[1])].concat();
        assert_eq!(check(&entries, ACCOUNT_EXTENSIONS), Err(ExtensionFault::Unsupported));
    }
}
