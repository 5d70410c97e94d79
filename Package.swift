// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "knedit",
  products: [
    .executable(name: "knedit", targets: ["knedit"]),
    .library(
      name: "KnowledgeNeurons",
      targets: ["Checkpoint", "Tokenization", "Relations", "BERT", "Attribution", "Neurons", "Editing", "Evaluation"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
  ],
  targets: [
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
    // Debian's oneDNN brings no pkg-config file; its headers and library are in the default places.
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
    .target(name: "Tensors"),
    .target(name: "Kernels", dependencies: ["COneDNN", "Tensors"]),
    .target(name: "HDF5", dependencies: ["CHDF5"]),
    .target(
      name: "Checkpoint",
      dependencies: ["HDF5", "Tensors", .product(name: "Crypto", package: "swift-crypto")]),
    .target(name: "Tokenization"),
    .target(name: "Relations"),
    .target(name: "BERT", dependencies: ["Checkpoint", "Kernels", "Tensors", "Tokenization"]),
    .target(name: "Attribution", dependencies: ["BERT", "Kernels"]),
    .target(name: "Neurons", dependencies: ["Attribution", "BERT", "Checkpoint", "HDF5", "Kernels", "Relations"]),
    .target(name: "Editing", dependencies: ["BERT", "Checkpoint", "Kernels", "Neurons", "Relations", "Tensors"]),
    .target(
      name: "Evaluation",
      dependencies: ["Attribution", "BERT", "Checkpoint", "Editing", "Kernels", "Neurons", "Relations", "Tensors"]),
    .target(name: "Benchmark", dependencies: ["Attribution", "BERT", "Checkpoint", "Kernels"]),
    .executableTarget(
      name: "knedit",
      dependencies: [
        "Attribution", "BERT", "Benchmark", "Checkpoint", "Editing", "Evaluation", "Kernels", "Neurons", "Relations",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // Shared by the tests: where fixtures and reference material lie, and temporary directories.
    .target(name: "FixtureFiles", path: "Tests/FixtureFiles"),
    .testTarget(name: "HDF5Tests", dependencies: ["FixtureFiles", "HDF5"]),
    .testTarget(name: "CheckpointTests", dependencies: ["Checkpoint", "FixtureFiles", "HDF5", "Tensors"]),
    .testTarget(name: "TokenizationTests", dependencies: ["FixtureFiles", "Tokenization"]),
    .testTarget(name: "RelationsTests", dependencies: ["FixtureFiles", "Relations"]),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "Tensors"]),
    .testTarget(name: "BERTTests", dependencies: ["Attribution", "BERT", "Checkpoint", "FixtureFiles", "Kernels"]),
    .testTarget(name: "NeuronsTests", dependencies: ["Attribution", "BERT", "FixtureFiles", "Neurons", "Relations"]),
    .testTarget(
      name: "EditingTests",
      dependencies: ["BERT", "Editing", "FixtureFiles", "Kernels", "Neurons", "Relations", "Tensors"]),
    .testTarget(
      name: "EvaluationTests",
      dependencies: ["BERT", "Checkpoint", "Editing", "Evaluation", "FixtureFiles", "Kernels", "Neurons", "Relations"]),
    .testTarget(name: "CommandTests", dependencies: ["FixtureFiles", "HDF5", "knedit"]),
    .testTarget(
      name: "ReferenceTests",
      dependencies: [
        "Attribution", "BERT", "Checkpoint", "Editing", "Evaluation", "FixtureFiles", "HDF5", "Kernels", "Neurons",
        "Relations",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
