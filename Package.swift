// swift-tools-version: 6.2
import PackageDescription

// Every kernel exists once, in Sources/Kernels, and is compiled three times: for any CPU (128-bit vectors), for
// x86-64-v3 (AVX2 + FMA) and for x86-64-v4 (AVX-512). KernelsV3 and KernelsV4 hold symbolic links to the same files; Tensors
// chooses among them at run time. The flags are unsafeFlags because SwiftPM has no other spelling for an instruction set per
// target; they are allowed in a root package, which this is, and need nothing from the user.
func kernelSettings(march: String?, vectorWidth: Int) -> [SwiftSetting] {
  // A register tile is a nest of constant loops; it stays in registers only where all of them unroll. What becomes of
  // vectors hangs on LLVM's passes (`addingProduct` leaves the standard library as one scalar operation a lane, which the SLP
  // pass gathers again): launch/check-kernels looks at the result.
  var flags = ["-Ounchecked", "-wmo", "-num-threads", "2"]
  flags += ["-Xllvm", "-unroll-threshold=3000"]
  var settings: [SwiftSetting] = [.define("VECTOR_WIDTH_\(vectorWidth)")]
  if let march {
    flags += ["-Xcc", "-march=\(march)"]
    settings.append(.define("FUSED_MULTIPLY_ADD"))
    // Loop strength reduction gives each of a tile's addresses an induction variable of its own; with 16 registers they spill,
    // and sums of 3 columns take a third longer than with addresses of a base, an index and a scale.
    if march == "x86-64-v3" { flags += ["-Xllvm", "-disable-lsr"] }
  }
  // Debug builds too are optimized as a whole here, so that tests run at full speed; batch mode would only warn.
  return settings + [.unsafeFlags(flags), .unsafeFlags(["-disable-batch-mode"], .when(configuration: .debug))]
}

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
// Tests look into these; in release builds too, so that they run on the very programs that users build.
let tested = strict + [.unsafeFlags(["-enable-testing"], .when(configuration: .release))]

var kernelTargets: [Target] = [
  .target(
    name: "Kernels", dependencies: ["CPlatform", "KernelInterface"],
    swiftSettings: kernelSettings(march: nil, vectorWidth: 4))
]
var kernelModules: [Target.Dependency] = ["Kernels"]
#if arch(x86_64)
  kernelTargets += [
    .target(
      name: "KernelsV3", dependencies: ["CPlatform", "KernelInterface"],
      swiftSettings: kernelSettings(march: "x86-64-v3", vectorWidth: 8)),
    .target(
      name: "KernelsV4", dependencies: ["CPlatform", "KernelInterface", "KernelsV3"],
      swiftSettings: kernelSettings(march: "x86-64-v4", vectorWidth: 16)),
  ]
  kernelModules += ["KernelsV3", "KernelsV4"]
#endif

let package = Package(
  name: "dpm",
  products: [
    .executable(name: "dpm-train", targets: ["dpm-train"]),
    .executable(name: "dpm-evaluate", targets: ["dpm-evaluate"]),
    .executable(name: "dpm-sample", targets: ["dpm-sample"]),
    .executable(name: "dpm-scaling", targets: ["dpm-scaling"]),
    .executable(name: "dpm-benchmark", targets: ["dpm-benchmark"]),
    // For a test, which preloads it.
    .library(name: "failing-mpi", type: .dynamic, targets: ["failing-mpi"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C: only what Swift cannot see by itself.
    .systemLibrary(name: "CMPI", pkgConfig: "mpi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "CCairo", pkgConfig: "cairo", providers: [.apt(["libcairo2-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CGdkPixbuf", pkgConfig: "gdk-pixbuf-2.0", providers: [.apt(["libgdk-pixbuf-2.0-dev"])]),
    .systemLibrary(name: "CGif", providers: [.apt(["libgif-dev"])]),
    .target(name: "CPicture", dependencies: ["CGdkPixbuf"]),
    .systemLibrary(name: "CGLib", pkgConfig: "glib-2.0", providers: [.apt(["libglib2.0-dev"])]),
    .target(name: "CTransfer"),
    .target(name: "CPlatform"),

    // In the order of the data's path; each imports only what stands above it.
    .target(name: "KernelInterface", swiftSettings: strict + [.unsafeFlags(["-Ounchecked"])]),
  ] + kernelTargets + [
    .target(
      name: "Tensors", dependencies: ["CPlatform", "CZlib", "KernelInterface"] + kernelModules, swiftSettings: tested),
    .target(name: "Datasets", dependencies: ["CGLib", "CTransfer", "CZlib", "Tensors"], swiftSettings: tested),
    .target(name: "Diffusion", dependencies: ["KernelInterface", "Tensors"], swiftSettings: strict),
    .target(name: "Collectives", dependencies: ["CMPI", "Tensors"], swiftSettings: tested),
    .target(name: "Pictures", dependencies: ["CCairo", "CGif", "CPicture", "Tensors"], swiftSettings: tested),
    .target(name: "Figures", dependencies: ["CCairo", "Tensors"], swiftSettings: tested),
    .target(
      name: "Reports", dependencies: ["Tensors"],
      resources: [
        .embedInCode("Page/report.html"), .embedInCode("Page/report.css"), .embedInCode("Page/report.js"),
      ], swiftSettings: tested),
    .target(name: "Network", dependencies: ["KernelInterface", "Tensors", "Diffusion"], swiftSettings: tested),
    .target(
      name: "Training",
      dependencies: [
        "CZlib", "Tensors", "Datasets", "Diffusion", "Collectives", "Figures", "Reports", "Network", "Pictures", "Yams",
      ], swiftSettings: tested),
    .target(
      name: "CommandSupport",
      dependencies: [
        "Tensors", "Collectives", "Training", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "dpm-train",
      dependencies: [
        "Collectives", "CommandSupport", "Tensors", "Training",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "dpm-evaluate",
      dependencies: [
        "Collectives", "CommandSupport", "Tensors", "Training",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "dpm-sample",
      dependencies: [
        "Collectives", "CommandSupport", "Pictures", "Tensors", "Training",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "dpm-scaling",
      dependencies: [
        "Collectives", "CommandSupport", "Figures", "Tensors", "Training",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: tested),
    .executableTarget(
      name: "dpm-benchmark",
      dependencies: [
        "Collectives", "Datasets", "CommandSupport", "Tensors", "Training",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),

    // Tests. `rank-worker` is what each rank of the multi-process tests runs.
    .target(
      // Optimized in debug builds too: the reference model's plain loops would take minutes.
      name: "TestSupport", dependencies: ["Network", "Tensors"], path: "Tests/TestSupport",
      resources: [.copy("Goldens"), .copy("Pictures"), .copy("Scripts")], swiftSettings: strict + [.unsafeFlags(["-O"])]
    ),
    .executableTarget(
      name: "rank-worker", dependencies: ["Collectives", "Network", "Tensors", "Training"], path: "Tests/rank-worker",
      swiftSettings: strict),
    .target(name: "failing-mpi", dependencies: ["CMPI"], path: "Tests/failing-mpi"),
    .testTarget(
      name: "KernelsTests", dependencies: ["KernelInterface", "Tensors", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "TensorsTests", dependencies: ["KernelInterface", "Tensors", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "Tensors", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "DiffusionTests", dependencies: ["Diffusion", "KernelInterface", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "CollectivesTests", dependencies: ["Collectives", "TestSupport", "rank-worker"], swiftSettings: strict),
    .testTarget(name: "PicturesTests", dependencies: ["Pictures", "Tensors", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "FiguresTests", dependencies: ["Figures", "Tensors", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "ReportsTests", dependencies: ["Reports", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "NetworkTests", dependencies: ["Diffusion", "KernelInterface", "Network", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Collectives", "Datasets", "Diffusion", "KernelInterface", "Network", "Tensors", "Training", "TestSupport",
      ], swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "Tensors", "TestSupport", "Pictures", "dpm-train", "dpm-evaluate", "dpm-sample", "dpm-scaling", "dpm-benchmark",
      ],
      swiftSettings: strict),
  ]
)
