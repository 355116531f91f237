"""The search list of a pod: `pod_resolver` finds it, `search_list` walks it as glibc and musl do, `walking` asks."""
