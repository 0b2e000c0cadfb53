"""Benchmark of the PyTorch peer: full training step (forward diffusion + forward + backward + RMSProp), float32, random data.

  python benchmark.py --config mnist --threads 2 --mode compile --channels-last --steps 10
  python benchmark.py --config mnist --ddp --procs 2 --threads 1      DistributedDataParallel over gloo; the batch is split
  python benchmark.py --config mnist --sample --steps 50              reverse steps with 49 images, scaled to T - 1
  python benchmark.py --matmul --threads 1                            sgemm peak (torch.mm, 4096^3 and others)

Prints one JSON line.  GFLOP/s counts the model's own work: 3 x (2 x multiply-adds of the forward convolutions and matrix products).
--malloc tuned restarts itself with glibc malloc told to keep freed memory (no mmap per tensor), which PyTorch on CPU profits from;
"default" leaves the environment alone.  peak_rss_mib is a list with one entry per process.
"""
import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time

MALLOC_TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000000", "MALLOC_TOP_PAD_": "67108864",
                "MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--config", choices=["mnist", "cifar10"], default="mnist")
    p.add_argument("--batch", type=int, default=0, help="global batch; default 512 (mnist), 200 (cifar10)")
    p.add_argument("--threads", type=int, default=1, help="threads per process")
    p.add_argument("--mode", choices=["eager", "compile", "autotune"], default="eager")
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--upper", choices=["linear", "conv1x1"], default="linear")
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=3)
    p.add_argument("--ddp", action="store_true")
    p.add_argument("--procs", type=int, default=2, help="processes with --ddp")
    p.add_argument("--sample", action="store_true")
    p.add_argument("--samples", type=int, default=49)
    p.add_argument("--matmul", action="store_true")
    p.add_argument("--malloc", choices=["tuned", "default"], default="tuned")
    p.add_argument("--profile", action="store_true", help="print the operator profile of 3 steps to stderr")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args(argv)


def rss_mib():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0, 1)


def matmul_bench(args):
    import torch
    torch.set_num_threads(args.threads)
    out = {}
    for n in (1024, 2048, 4096):
        a, b, c = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
        torch.mm(a, b, out=c)
        ts = []
        for _ in range(max(args.steps, 3)):
            t0 = time.perf_counter()
            torch.mm(a, b, out=c)
            ts.append(time.perf_counter() - t0)
        out[str(n)] = {"median_gflops": round(2 * n ** 3 / statistics.median(ts) / 1e9, 1),
                       "best_gflops": round(2 * n ** 3 / min(ts) / 1e9, 1)}
    return {"bench": "sgemm", "threads": args.threads, "torch": torch.__version__, "sizes": out}


def setup(args):
    import torch
    import dpm_torch as D
    torch.set_num_threads(args.threads)
    cfg = D.mnist_config(uniform_noise=0.0127) if args.config == "mnist" else D.cifar_config(uniform_noise=0.0157)
    m = D.make_model(cfg, args.seed, torch.float32, args.upper, args.channels_last)
    return torch, D, cfg, m


def compiled(torch, mod, args):
    if args.mode == "eager":
        return mod
    return torch.compile(mod, fullgraph=True, dynamic=False, mode="max-autotune" if args.mode == "autotune" else None)


def train_worker(rank, args, world, store, queue):
    torch, D, cfg, m = setup(args)
    batch = args.batch or (512 if args.config == "mnist" else 200)
    local = batch // world
    sched = D.Schedule(cfg)
    loss = D.Loss(m)
    if world > 1:
        import torch.distributed as dist
        from torch.nn.parallel import DistributedDataParallel as DDP
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=world)
        loss = DDP(loss, gradient_as_bucket_view=True)
    f = compiled(torch, loss, args)
    opt = D.RMSProp(m.parameters(), 1e-3)
    g = torch.Generator().manual_seed(100 + rank)
    gt = torch.Generator().manual_seed(7)  # the same t on every rank
    shape = (local, cfg.n_colors, cfg.spatial_width, cfg.spatial_width)
    fmt = torch.channels_last if args.channels_last else torch.contiguous_format
    data = [torch.randn(shape, generator=g).contiguous(memory_format=fmt) for _ in range(4)]
    ent = sched.entropy_terms().float()
    last = [0.0]

    def step(i):
        X0 = data[i % len(data)]
        t = int(torch.randint(1, cfg.trajectory_length, (1,), generator=gt))
        u = torch.rand(shape, generator=g).contiguous(memory_format=fmt)
        noise = torch.randn(shape, generator=g).contiguous(memory_format=fmt)
        v = f(X0, u, noise, ent, *sched.at(t, torch.float32))
        v.backward()
        opt.step()
        opt.zero_grad()
        last[0] = float(v.detach())

    t0 = time.perf_counter()
    step(0)
    first = time.perf_counter() - t0
    first_unix = time.time()
    for i in range(1, args.warmup):
        step(i)
    if args.profile and rank == 0:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as prof:
            for i in range(3):
                step(i)
        print(prof.key_averages(group_by_input_shape=True).table(sort_by="self_cpu_time_total", row_limit=40, max_name_column_width=40, max_shapes_column_width=70), file=sys.stderr)
    ts = []
    for i in range(args.steps):
        t0 = time.perf_counter()
        step(i)
        ts.append(time.perf_counter() - t0)
    res = {"times": ts, "first": first, "first_unix": first_unix, "rss": rss_mib(), "batch": local * world, "loss": last[0],
           "flops": 3 * D.forward_flops_per_image(cfg) * local * world, "torch": torch.__version__}
    if world > 1:
        import torch.distributed as dist
        queue.put((rank, res))
        dist.barrier()
        dist.destroy_process_group()
    return res


def train_bench(args):
    if args.ddp:
        import torch.multiprocessing as mp
        ctx = mp.get_context("spawn")
        q = ctx.Queue()
        with tempfile.TemporaryDirectory() as d:
            ps = [ctx.Process(target=train_worker, args=(r, args, args.procs, os.path.join(d, "store"), q)) for r in range(args.procs)]
            for p in ps:
                p.start()
            got = dict(q.get() for _ in ps)
            for p in ps:
                p.join()
        per_step = [max(x) for x in zip(*(got[r]["times"] for r in got))]
        res = dict(got[0], times=per_step)
        res["first_unix"] = max(got[r]["first_unix"] for r in got)
        rss = [got[r]["rss"] for r in sorted(got)]
    else:
        res = train_worker(0, args, 1, None, None)
        rss = [res["rss"]]
    med = statistics.median(res["times"])
    return {"bench": "train_step", "config": args.config, "batch": res["batch"], "procs": args.procs if args.ddp else 1,
            "threads": args.threads, "mode": args.mode, "channels_last": args.channels_last, "upper": args.upper, "malloc": args.malloc,
            "steps": args.steps, "median_s": round(med, 5), "min_s": round(min(res["times"]), 5), "max_s": round(max(res["times"]), 5),
            "images_per_s": round(res["batch"] / med, 1), "gflops": round(res["flops"] / med / 1e9, 1),
            "gflop_per_step": round(res["flops"] / 1e9, 2), "peak_rss_mib": rss, "first_step_s": round(res["first"], 2),
            "first_step_unix_seconds": res["first_unix"],
            "last_loss": round(res["loss"], 4), "torch": res["torch"]}


def sample_bench(args):
    torch, D, cfg, m = setup(args)
    sched = D.Schedule(cfg)
    g = torch.Generator().manual_seed(3)
    shape = (args.samples, cfg.n_colors, cfg.spatial_width, cfg.spatial_width)
    fmt = torch.channels_last if args.channels_last else torch.contiguous_format

    def mu_sigma(X, *coefs):
        return D.get_mu_sigma(m, X, D.StepCoefs(*coefs))

    f = compiled(torch, mu_sigma, args)
    with torch.no_grad():
        X = torch.randn(shape, generator=g).contiguous(memory_format=fmt)
        XT = X
        ts = []
        for i in range(args.warmup + args.steps):
            t = cfg.trajectory_length - 1 - i
            t0 = time.perf_counter()
            mu, sigma = f(X, *sched.at(t, torch.float32))
            X = D.diffusion_step(mu, sigma, torch.randn(shape, generator=g), XT)
            ts.append(time.perf_counter() - t0)
    ts = ts[args.warmup:]
    med = statistics.median(ts)
    n = cfg.trajectory_length - 1
    return {"bench": "sampling", "config": args.config, "samples": args.samples, "threads": args.threads, "mode": args.mode,
            "channels_last": args.channels_last, "upper": args.upper, "malloc": args.malloc, "steps_measured": args.steps,
            "median_step_s": round(med, 6), "mean_step_s": round(sum(ts) / len(ts), 6), "reverse_steps": n,
            "full_trajectory_s": round(sum(ts) / len(ts) * n, 2),
            "gflops": round(D.forward_flops_per_image(cfg) * args.samples / med / 1e9, 1), "peak_rss_mib": [rss_mib()],
            "torch": torch.__version__}


def main():
    args = parse()
    if args.malloc == "tuned" and os.environ.get("DPM_BENCH_MALLOC") != "1":
        env = dict(os.environ, DPM_BENCH_MALLOC="1", **MALLOC_TUNED)
        os.execve(sys.executable, [sys.executable] + sys.argv, env)
    if args.matmul:
        r = matmul_bench(args)
    elif args.sample:
        r = sample_bench(args)
    else:
        r = train_bench(args)
    print(json.dumps(r), flush=True)


if __name__ == "__main__":
    main()
