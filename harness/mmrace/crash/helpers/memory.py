# SPDX-License-Identifier: GPL-2.0-only
"""What copies, allocates, frees and links for others."""

from mmrace.crash.helpers.names import Family

COPYING = Family.of(
    "copies or compares what its caller says",
    r"""
    mem(cpy|move|set|cmp|chr|scan|dup|zero)\w* mem(cpy|set)_\w+
    str(n?len|[nsl]?cpy|n?cmp|n?casecmp|r?chr|nchr\w*|n?str|[nl]?cat|sep|scpy|tok)(_\w+)?
    str(c?spn|pbrk|im|n?dup\w*)(_\w+)? sized_strscpy strn(cpy_from|len)_user
    copy_(from|to)_sockptr\w* copy_struct_from_user
    (raw_|arch_)?copy_(to|from|in)_(user|kernel|iter)\w* copyin\w* copyout\w*
    copy_(user|mc|page)_?\w* copy_page_(to|from)_iter\w* (memcpy|iterate)_\w+ (get|put)_user\w*
    (un)?safe_(get|put)_\w+ clear_(user|page|highpage)\w* rep_(movs|stos)\w* fault_in_\w+
    csum_(and_)?copy_\w+ (arch_|raw_)?atomic(64|_long)?_\w+ (arch_)?(cmp)?xchg\w*
    (read|write)_once\w*
    (arch_)?(test|set|clear|change|variable_test|constant_test)_(and_\w+_)?bit\w*
    (raw_)?(read|write)[bwlq](_relaxed)? raw_(read|write)s?[bwlq]\w* io(read|write)(8|16|32|64)\w*
    (in|out)(b|w|l|sb|sw|sl)(_p)?
    """,
)
LINKING = Family.of(
    "walks or changes a list, a tree or a table that is not its own",
    r"""
    (r|h)?list_(add|del|empty|move|splice|replace|cut|bulk|sort|nulls|bl)\w* hlist_\w+ plist_\w+
    rb_(insert|erase|next|prev|first|last|link|add|rotate|replace)\w* llist_\w+ lru_list_\w+
    list_lru_(add|del|isolate|walk|init|destroy|count)\w* find_(next|first|last|nth)_\w*bit\w*
    find_\w*bit bitmap_\w+ hweight\w* xas_\w+ xa_\w+ radix_tree_\w+ idr_\w+ ida_\w+ mas_\w+
    mt_(find|next|prev|destroy|free|slot|alloc)\w* mtree_\w+ mab_\w+ rhashtable_\w+ rht_\w+
    rhltable_\w+ jhash\w* bucket_table_\w+ genradix_\w+ assoc_array_\w+
    interval_tree_(insert|remove)\w* timerqueue_\w+ sort(_r)? bsearch kfifo_\w+
    skb_queue_\w+lock\w*
    """,
)
ALLOCATING = Family.of(
    "allocates or frees for its caller",
    r"""
    (do_)?kmalloc(_(trace|node|order|large|array|slab|reserve|track_caller|cache|big|noprof|nolock)\w*)*
    k[zc]alloc(_(node|noprof)\w*)* kv?z?free(_(sensitive|bulk|skbmem|const|rcu)\w*)* kfree\w*
    kmem_cache_(alloc|free|zalloc|shrink|node|destroy|create)\w* slab_\w+ do_slab_free
    cache_(free|alloc|grow|reap)\w* kv[mz]alloc\w* kvcalloc(_\w+)?
    kv?realloc(_(array|node|noprof)\w*)* ksize v[mz]alloc(_(node|user|huge|32|noprof|array)\w*)*
    vm_area_alloc_pages vunmap\w* vfree(_\w+)? remove_vm_area free_vm_area vmap(_\w+)?
    free_vmap_\w+ warn_alloc\w* kmemdup\w* v?memdup_\w+ kstrdup(_\w+)? kmemleak_\w+ create_object
    allocate_slab new_slab\w* discard_slab free_slab free_large_kmalloc \w*_kmalloc_large\w*
    shutdown_cache qlist_\w+ qlink_\w+ quarantine_\w+ unfreeze_partials\w* put_cpu_partial\w*
    get_(any_)?partial\w* deactivate_slab\w* alloc_hooks?_\w*
    mempool_(alloc|free|kmalloc|kfree)\w* alloc_(pages|page|frozen_pages|pages_bulk|contig)\w*
    alloc_skb\w* (netdev|napi|dev|sock)_alloc_(send_)?p?skb\w*
    get_(free|zeroed)_pages? get_zeroed_page folio_alloc\w* get_page_from_freelist prep_new_page
    post_alloc_hook rmqueue\w* free_pages (devm|drmm|pcpu)_k?[mzc]?alloc\w* devm_k\w+ free_percpu
    alloc_percpu\w* pcpu_(alloc|free)\w*
    """,
)
FREEING_PAGES = Family.of(
    "frees or hands out pages, whoever had them last",
    r"""
    free_(pages|page|unref|pcp|one|frozen|tail|hot_cold|pcppages|large|swap|the)\w*
    (put|release)_(page|pages|folio|compound)\w* folio_(put|batch_release)\w* folios_put\w*
    pagevec_\w+ check_(new|free)_page\w* prep_new_page get_page_from_freelist rmqueue\w*
    alloc_(pages|page|frozen_pages|contig)\w* folio_alloc\w* vma_alloc_folio\w* post_alloc_hook
    (lru_)?_*free_hot\w* tlb_\w+ free_compound\w* free_transhuge\w* destroy_(large|compound)\w*
    release_pages vm_normal_\w+ expand page_(expected_state|bad_reason) compaction_alloc\w*
    page_(frag|cache)_(free|drain|release)\w* put_and_wait_on_page\w* free_gigantic_\w+
    """,
)
OWNING = Family.of(
    "makes an object for its caller, who owns it",
    r"""
    alloc_\w+ \w+_alloc_(inode|skb|security|bulk|cache)\w* new_inode\w* getname\w*
    (\w+_)?sk_alloc\w*
    (sk_prot|sock|sock_alloc|bio|dst|neigh|nlmsg|genlmsg|mempool|netdev|inode|vm_area|cred|pid|file|seq|tty|usb|skb|bdev|devm|fib6_info|ip6_dst|security_\w+|slab|lsm_\w+|crypto_\w+|ida|idr|audit_buffer|kernfs|proc|d|blk_mq)_alloc\w*
    \w*str(n)?dup\w* \w*memdup\w* \w*kmem\w* \w*slab\w* idr_get\w* list_lru_init\w* pcpu_create\w*
    kvmalloc\w* memcg_\w*alloc\w* (new|dup)_\w*cache mmap_\w+ prealloc_shrinker sock_wmalloc
    sock_omalloc sock_kmalloc skb_(clone|copy\w*|segment) pskb_copy\w* radix_tree_\w+ xas_\w+
    sg_(alloc|kmalloc)\w* usb_alloc_\w+ dev_alloc\w* usb_create_\w+
    """,
)
