# SPDX-License-Identifier: GPL-2.0-only
"""What counts references, registers, carries packets, computes and prints for others."""

from mmrace.crash.helpers.names import Family

COUNTING = Family.of(
    "takes or drops a reference to what its caller owns",
    r"""
    (iput|iget|igrab|ihold)(_final|_not_last)? (dput|dget)(_\w+)? (dentry|d)_(kill|free|put)\w*
    lockref_\w+ fast_dput retain_dentry (inc|drop|clear|set)_nlink mnt(get|put)(_no_expire)?
    path_(get|put)
    (get|put)_(device|driver|task_struct\w*|pid|cred\w*|net|user_ns|page|super|filesystem|fs_context|unused_fd\w*|pid_ns|uts_ns|ipc_ns|mm|unaligned\w*|group_info|nsproxy|bh)
    kobject_(get|put|del|release|cleanup)\w* kobject_get_unless_zero
    kobject_(init|add|set_name|create|uevent|namespace|rename|move)\w* kobj_\w+ kset_\w+ klist_\w+
    ref_tracker_\w+ percpu_ref_\w+ (css|cgroup)_(get|put|tryget)\w* (try_)?module_(get|put)
    (sock|netdev|dev|tty_kref|of_node|fwnode_handle|pci_dev|usb)_(hold|put|get|put_dev|get_dev|tracker_\w+|many)
    netdev_(hold|put|tracker_\w+) of_node_(get|put) tty_kref_(get|put) (key|cred)_(get|put)
    sk_(ref|node)_\w+ sk_\w*_node_init mm(get|put|grab|drop)(_\w+)? (fget|fdget|fdput)(_\w+)?
    in_dev_put in6_dev_put (bio|blk)_(get|put) get_file(_\w+)? file_ref_\w+ rcuref_\w+
    (page|folio)_ref_\w+
    """,
)
REGISTERING = Family.of(
    "registers or removes what a driver or a protocol brings",
    r"""
    add_uevent_var get_device_parent cleanup_glue_dir
    sysfs_(remove|create|delete|add|do|warn|rename)_\w+
    kernfs_(remove|get|put|add|drain|unlink|find)\w* internal_create_group\w*
    device_(add|del|register|unregister|destroy|create|initialize|for_each_child|remove_file|links|release|rename|move)\w*
    cdev_(add|del|device_\w+) bus_(add|remove)_\w+ dpm_sysfs_\w+ device_pm_\w+
    tty_unregister_device rollback_registered\w* unregister_netdev\w*
    (hwrng|led_classdev|input)_unregister\w* i2c_del_adapter unregister_client proc_register
    (dummy_)?(usb|urb)_(submit_urb|hcd_submit_urb|kill_urb|kill_anchored_urbs|control_msg\w*)
    usb_(start_wait_urb|bulk_msg|interrupt_msg|unlink_urb|free_urb|poison\w*) dummy_urb_enqueue
    """,
)
CARRYING = Family.of(
    "moves a packet's ends, copies or frees it",
    r"""
    skb_(put|push|pull|trim|tailroom|reserve)(_\w+)? skb_pull_rcsum pskb_(put|trim\w*)
    k?free_skb\w* sk_skb_reason_drop consume_(state)?less_?skb consume_skb skb_release\w*
    napi_(consume|skb_free)\w* skb_free\w* kfree_skbmem skb_queue_(purge|head|tail)\w*
    skb_dequeue(_tail)? skb_(unlink|append|insert) skb_zcopy_\w+ skb_(head|ext)_\w+ skb_frag_unref
    dev_kfree_skb\w* skb_orphan skb_header_pointer
    """,
)
COMPUTING = Family.of(
    "computes a checksum, a digest, a cipher or a hash",
    r"""
    crc\w+ csum_(partial|block|fold|ipv6|tcpudp|and_copy|replace)\w* (ip|do)_?(fast_)?csum
    siphash\w* hsiphash\w* hash_(name|string|bytes|ptr|\d+) xxh(32|64)?\w* full_name_hash
    (sha\d+|md4|md5|blake2[bs]|rmd160|sm3|ghash|polyval|poly1305|nhpoly1305|michael|streebog)_\w+
    (aes|aesni|aesti|chacha\d*|salsa20|des\d?|des3_ede|arc4|blowfish|twofish|serpent|camellia|cast[56]|anubis|khazad|tea|xtea|sm4|aria|gf128mul|curve25519|xor)_\w+
    crypto_(cbc|ecb|ctr|xts|gcm|ccm|inc|xor|shash|ahash|cipher|cbc_\w+)\w* do_xor_\w+ keccakf?\w*
    hex_(string|to_bin|dump_to_buffer|byte_pack) hex2bin bin2hex ror32 swab\w* lz4_\w+ LZ4_\w+
    reciprocal_\w+ gcd lcm int_sqrt\w*
    """,
)
FORMATTING = Family.of(
    "puts text together for others",
    r"""
    string(_nocheck)? pointer number widen_string format_decode \w*v?s?c?n?printf va_format
    kv?asprintf\w* kvasprintf_const seq_v?printf seq_put\w*
    dev_(printk\w*|vprintk\w*|info|notice|warn|err|alert|crit|emerg) mac_address_string
    ip\d_string string_escape_mem\w* error_string
    """,
)
ASSERTING = Family.of(
    "asserts what its caller should have kept to",
    r"""
    phys_addr(_symbol)? virt_(addr_valid|to_\w+) seqprop_\w+ cleanup_srcu_struct\w*
    init_srcu_struct\w* srcu_(read|gp|funnel)\w* check_flush_dependency assert_\w+
    \w+_lockdep_assert\w* lockdep_\w*assert\w* rcu_note_context_switch rcu_is_watching
    debug_(vm|virt)\w+ check_stack_usage percpu_counter_\w+ vmalloc_to_p\w+
    """,
)
STATE = Family.of(
    "changes the state of a page or a buffer for its caller",
    r"""
    folio_(un)?lock\w* (un)?lock_page\w* folio_wake\w* wake_up_page\w* folio_wait\w*
    mark_buffer_(dirty|async)\w* (un)?lock_buffer touch_buffer brelse bforget put_bh
    (folio|page)_(mark|clear|account)_\w*dirty\w* set_page_dirty\w* end_page_writeback
    folio_end_\w+ page_mapping folio_mapping
    """,
)
TRACKING = Family.of(
    "initialises or frees what debugobjects tracks",
    r"""
    \w*rcu\w* debug_\w+ (hr)?timer_\w+ (init|destroy)_(timer|work|hrtimer)\w* init_timer\w*
    \w*work_\w+ percpu_\w+ __free_\w+ vunmap\w* vfree
    """,
)
