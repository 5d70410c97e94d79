/// An intermediate unit of a feed-forward block.
public struct Neuron: Sendable, Hashable, Comparable, Codable {
  /// Layer, from 0.
  public let layer: Int
  /// Unit within the layer, from 0.
  public let index: Int

  /// Unit `index` of layer `layer`, both from 0.
  public init(layer: Int, index: Int) {
    self.layer = layer
    self.index = index
  }

  /// By layer, then index.
  public static func < (a: Neuron, b: Neuron) -> Bool { (a.layer, a.index) < (b.layer, b.index) }
}
