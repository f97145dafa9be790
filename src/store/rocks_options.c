/* How each column family is used, and what that asks of RocksDB. Sizes come from a measurement with
 * 10 million keys of about 100 bytes: see the comments of the kinds. */
#include "store/rocks.h"

#define MIB                 (UINT64_C(1) << 20)
#define DEFAULT_CACHE_BYTES (64 * MIB)

/* InfoLogLevel of RocksDB's env.h, which c.h does not name: headers only. */
#define INFO_LOG_HEADER 5

enum kind {
    KIND_SMALL,  /* a few keys */
    KIND_POINT,  /* looked up by key, mostly in vain: a filter answers from memory */
    KIND_QUEUE,  /* written at one end, scanned and deleted at the other */
    KIND_SCAN,   /* scanned by prefix, grows for ever */
    KIND_SCRATCH /* filled, scanned, emptied: may be slow, must be small */
};

static const enum kind kinds[N_HANDLES] = {
    [SUP_CF_META] = KIND_SMALL,       [SUP_CF_RECORDS] = KIND_POINT, [SUP_CF_LOG] = KIND_QUEUE,
    [SUP_CF_QUARANTINE] = KIND_SMALL, [SUP_CF_PEERS] = KIND_SMALL,   [SUP_CF_SES] = KIND_POINT,
    [SUP_CF_OUTBOX] = KIND_QUEUE,     [SUP_CF_DEDUP] = KIND_POINT,   [SUP_CF_AUDIT] = KIND_SCAN,
    [SUP_CF_EXPIRY] = KIND_QUEUE,     [SUP_CF_SCAN] = KIND_SCRATCH,  [SUP_CF_REPORTS] = KIND_SMALL,
    [SUP_CF_SOFT] = KIND_POINT,       [SUP_CF_EVENTS] = KIND_QUEUE,  [SUP_CF_IMPORT] = KIND_SMALL,
    [SUP_CF_RATES] = KIND_QUEUE,      [SUP_CF_SEEN] = KIND_QUEUE,    [SUP_CF_ARCHIVES] = KIND_POINT,
    [SUP_CF_EVIDENCE] = KIND_QUEUE,   [SUP_N_CFS] = KIND_SMALL,
};

static void set_database_options(rocksdb_options_t *o)
{
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    /* Ends the replay at an ordinary torn tail; absolute consistency would refuse to open after
     * every power cut. That replay may end early without a word is why the mesh compares sequence
     * numbers with its peers at start. */
    rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
    /* 8 or more run into a misordering of retried flushes that 7.10 mended. */
    rocksdb_options_set_max_background_jobs(o, 4);
    rocksdb_options_set_bytes_per_sync(o, MIB);
    rocksdb_options_set_max_open_files(o, -1);
    /* A family that is written rarely would otherwise hold the log's old files for ever. */
    rocksdb_options_set_max_total_wal_size(o, 256 * MIB);
    rocksdb_options_set_db_write_buffer_size(o, 160 * MIB);
    /* RocksDB's own log of messages: what it writes while opening, and nothing afterwards. Debian's
     * build has assertions on, and the second write to a file that failed once, as on a full disk,
     * aborts the process; every other file is handled, but this one is written again and again. */
    rocksdb_options_set_info_log_level(o, INFO_LOG_HEADER);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_max_log_file_size(o, 4 * MIB);
    rocksdb_options_set_keep_log_file_num(o, 4);
    rocksdb_options_set_max_manifest_file_size(o, 64 * MIB);
}

static void set_compression(rocksdb_options_t *o)
{
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    rocksdb_options_set_bottommost_compression(o, rocksdb_zstd_compression);
}

/* Most lookups miss: 10 bits a key make a miss cost a microsecond or two, and a ribbon filter holds
 * them in a third less memory than a Bloom filter. Index and filter are cut into blocks that live
 * in the cache, so memory has one limit. Never optimize_filters_for_hits: it drops the filter where
 * most misses end. */
static void set_point_lookups(rocksdb_options_t *o, rocksdb_block_based_table_options_t *table)
{
    rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.02);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_ribbon_hybrid(10, 0)); /* the table owns it */
    rocksdb_block_based_options_set_whole_key_filtering(table, 1);
    rocksdb_block_based_options_set_index_type(
        table, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(table, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
}

static void set_table_options(rocksdb_options_t *o, enum kind kind, rocksdb_cache_t *cache)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    rocksdb_block_based_options_set_block_size(table, kind == KIND_POINT ? 4096 : 16384);
    if (kind == KIND_POINT)
        set_point_lookups(o, table);
    rocksdb_options_set_block_based_table_factory(o, table); /* copies */
    rocksdb_block_based_options_destroy(table);
}

/* All of it is written over before it is read again: merging it in small portions into what is
 * there would rewrite the whole many times, and pressing it hard is in vain. */
static void set_scratch(rocksdb_options_t *o)
{
    rocksdb_options_set_level0_file_num_compaction_trigger(o, 16);
    rocksdb_options_set_level0_slowdown_writes_trigger(o, 40);
    rocksdb_options_set_level0_stop_writes_trigger(o, 60);
    rocksdb_options_set_bottommost_compression(o, rocksdb_lz4_compression);
}

static rocksdb_options_t *options_of(enum kind kind, rocksdb_cache_t *cache)
{
    static const uint64_t memtable_mib[] = {[KIND_SMALL] = 4,
                                            [KIND_POINT] = ROCKS_RESUME_MIB,
                                            [KIND_QUEUE] = 32,
                                            [KIND_SCAN] = 32,
                                            [KIND_SCRATCH] = 4};
    rocksdb_options_t *o = rocksdb_options_create();

    set_database_options(o);
    set_compression(o);
    rocksdb_options_set_write_buffer_size(o, memtable_mib[kind] * MIB);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    if (kind == KIND_SCRATCH)
        set_scratch(o);
    set_table_options(o, kind, cache);
    return o;
}

void rocks_options_init(struct rocks *r, uint64_t cache_bytes)
{
    r->cache = rocksdb_cache_create_lru(cache_bytes > 0 ? cache_bytes : DEFAULT_CACHE_BYTES);
    for (size_t i = 0; i < N_HANDLES; i++)
        r->options[i] = options_of(kinds[i], r->cache);
    r->read = rocksdb_readoptions_create();
    r->write = rocksdb_writeoptions_create();
    r->write_synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(r->write_synced, 1);
}

void rocks_options_fini(struct rocks *r)
{
    rocksdb_writeoptions_destroy(r->write_synced);
    rocksdb_writeoptions_destroy(r->write);
    rocksdb_readoptions_destroy(r->read);
    for (size_t i = 0; i < N_HANDLES; i++)
        rocksdb_options_destroy(r->options[i]);
    rocksdb_cache_destroy(r->cache);
}
