//! The findings, one file each, and the list of all.

mod advisory_lock;
mod all_tables_publication;
mod base_backup;
mod base_type;
mod bridge_not_admitted;
mod busy_neighbours;
mod collation_differs;
mod collation_version;
mod deferrable_constraint;
mod detached_partition;
mod dynamic_sql;
mod encoding_differs;
mod event_trigger;
mod exclusion_constraint;
mod extension_differs;
mod failing_archive;
mod failover;
mod foreign_language;
mod foreign_table;
mod forgotten_transactions;
mod free_sequence;
mod function_path;
mod generated_identity;
mod grouped_view;
mod identifier_column;
mod idle_habit;
mod idle_slot_timeout;
mod inherited_table;
mod invalid_index;
mod isolation_by_default;
mod kept_log;
mod keyless_table;
mod large_object;
mod lock_table;
mod long_transaction;
mod materialized_view;
mod newer_feature;
mod nondeterministic_key;
mod notification;
mod pooler;
mod prepared_transaction;
mod read_only_by_default;
mod removed_feature;
mod replica_by_default;
mod rewrite_rule;
mod role_settings;
mod row_security;
mod security_definer;
mod sender_timeout;
mod session_setting;
mod setting_differs;
mod shared_sequence;
mod shorter_limit;
mod standby;
mod statement_logging;
mod subscription;
mod synchronous_standby;
mod tablespace;
mod temporary_files;
mod text_default;
mod text_format;
mod transaction_identifier;
mod transaction_timeout;
mod trigger_in_replica_mode;
mod unanalyzed_table;
mod uncarried_table;
mod unencrypted;
mod unindexed_reference;
mod unlogged_table;
mod unowned_sequence;
mod unread;
mod unread_slot;
mod unreadable_host_rule;
mod unsafe_durability;
mod unvalidated_constraint;
mod version;
mod wal_level;
mod whole_row_identity;
mod wraparound;

use super::form::Rule;

/// Every finding, in the order of their codes.
pub const RULES: &[&Rule] = &[
    &wal_level::RULE,
    &version::RULE,
    &long_transaction::RULE,
    &prepared_transaction::RULE,
    &standby::RULE,
    &base_backup::RULE,
    &sender_timeout::RULE,
    &kept_log::RULE,
    &forgotten_transactions::RULE,
    &unlogged_table::RULE,
    &foreign_table::RULE,
    &inherited_table::RULE,
    &rewrite_rule::RULE,
    &keyless_table::RULE,
    &whole_row_identity::RULE,
    &generated_identity::RULE,
    &row_security::RULE,
    &trigger_in_replica_mode::RULE,
    &uncarried_table::RULE,
    &unread::RULE,
    &deferrable_constraint::RULE,
    &exclusion_constraint::RULE,
    &unvalidated_constraint::RULE,
    &invalid_index::RULE,
    &unindexed_reference::RULE,
    &tablespace::RULE,
    &nondeterministic_key::RULE,
    &identifier_column::RULE,
    &large_object::RULE,
    &text_format::RULE,
    &base_type::RULE,
    &unanalyzed_table::RULE,
    &wraparound::RULE,
    &detached_partition::RULE,
    &text_default::RULE,
    &unowned_sequence::RULE,
    &shared_sequence::RULE,
    &free_sequence::RULE,
    &security_definer::RULE,
    &function_path::RULE,
    &dynamic_sql::RULE,
    &advisory_lock::RULE,
    &notification::RULE,
    &session_setting::RULE,
    &foreign_language::RULE,
    &transaction_identifier::RULE,
    &event_trigger::RULE,
    &materialized_view::RULE,
    &grouped_view::RULE,
    &all_tables_publication::RULE,
    &subscription::RULE,
    &unread_slot::RULE,
    &busy_neighbours::RULE,
    &idle_slot_timeout::RULE,
    &failover::RULE,
    &synchronous_standby::RULE,
    &failing_archive::RULE,
    &read_only_by_default::RULE,
    &transaction_timeout::RULE,
    &unsafe_durability::RULE,
    &replica_by_default::RULE,
    &isolation_by_default::RULE,
    &lock_table::RULE,
    &role_settings::RULE,
    &statement_logging::RULE,
    &temporary_files::RULE,
    &pooler::RULE,
    &unencrypted::RULE,
    &unreadable_host_rule::RULE,
    &bridge_not_admitted::RULE,
    &idle_habit::RULE,
    &collation_version::RULE,
    &encoding_differs::RULE,
    &collation_differs::RULE,
    &extension_differs::RULE,
    &newer_feature::RULE,
    &removed_feature::RULE,
    &setting_differs::RULE,
    &shorter_limit::RULE,
];
