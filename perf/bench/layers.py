# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Which layer does a function of the guest belong to? For perf/bench/profile.

hmm_odp's layers are its source files. The kernel itself has no debug
information here, so its functions are put into layers by name.
"""

import re

# In this order; the first that matches.
KERNEL = [
    ("kernel: bit search", r"^_?find_(next|first|last)|bitmap"),
    ("kernel: security modules", r"tomoyo|^security_|apparmor|landlock|hook_file"),
    ("kernel: look-ups (xarray, maple tree)", r"^(xa|xas|mas|mt|mab)_|^mtree|^rb_|interval_tree|^radix"),
    ("kernel: system call entry", r"prandom|error_entry|error_return|^(asm_|entry_|do_syscall|syscall_|x64_sys_call|__x64_sys|irqentry_|__get_user|"
     r"__put_user|fpregs_|switch_fpu)|_syscall|^exc_"),
    ("kernel: copying bytes", r"memcpy|memmove|copy_(to|from|mc)|rep_movs|_copy_|clear_page|memset|clear_user|"
     r"copy_page"),
    ("kernel: scheduler", r"sched|^pick_|_fair$|^update_(curr|rq|load|cfs)|^(en|de)queue_|switch_(to|mm)|"
     r"^finish_task|rq_|^__switch|^put_prev|^set_next|vruntime|eevdf|avg_|entity|^wake|^try_to_wake|^ttwu|kthread|"
     r"worker|^process_one_work|^queue_work|^select_task|cpuacct|psi_|^update_se$|"
     r"dequeue_task|kick_pool|pwq_|_works?(_|$)|grab_pending|dl_server|nr_running"),
    ("kernel: timers, interrupts", r"timer|tick|clock|apic|irq_(enter|exit)|ktime|softirq|hrtimer|jiffies|"
     r"timekeeping|read_tsc|vector|idle"),
    ("kernel: locks, RCU", r"spin|mutex|rwsem|^(up|down)_|srcu|rcu|lockref|refcount|_raw_(read|write)|"
     r"percpu_ref|wait|complet|futex|note_gp|^__fget|fput|fdget|file_ref"),
    ("kernel: HMM, notifiers", r"^hmm_|mmu_interval|mmu_notif|mn_itree|^mn_"),
    ("kernel: memory management", r"page|folio|fault|madvise|zap|vma|^mm|mmap|pte|pmd|pud|p4d|pgd|tlb|lru|memcg|"
     r"mem_cgroup|rmap|swap|walk|alloc|free|slab|^get_user|anon|_mm_|^mm_|obj_|charge|cgroup|uncharge|zone|"
     r"unmap|migrat|lock_|tsk_|sync_regs|css_rstat|nr_to_section|policy_nodemask|"
     r"rmqueue"),
    ("kernel: ioctl", r"ioctl"),
]


def layer(function, module):
    if module == "vmlinux":
        return next((name for name, rule in KERNEL if re.search(rule, function)), "kernel: other")
    return f"module {module}"


def user_layer(name):
    if name.startswith("libhmm_odp"):
        return "user: provider"
    if name.startswith("libibverbs"):
        return "user: libibverbs"
    if name == "another process":
        return "user: another process"
    return "user: program, libc, vdso"


def order(name):
    """Layers of hmm_odp first, the user's last."""
    rank = ("hmm_odp/", "module", "kernel", "user")
    return (next((i for i, r in enumerate(rank) if name.startswith(r)), len(rank)), name)
