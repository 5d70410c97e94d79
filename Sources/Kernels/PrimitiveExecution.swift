import COneDNN

/// Executes a oneDNN primitive and waits for it.
///
/// - Parameter values: What each argument is, how it lies, and where: every pointer is to as many bytes as its layout has.
func execute(
  _ primitive: dnnl_primitive_t?, on engine: dnnl_engine_t?,
  _ values: [(Int32, OperandLayout, UnsafeMutableRawPointer)]
) {
  var stream: dnnl_stream_t?
  dnnl_stream_create(&stream, engine, UInt32(dnnl_stream_default_flags.rawValue))
  defer { dnnl_stream_destroy(stream) }
  let arguments = values.map { argument, layout, pointer in
    var memory: dnnl_memory_t?
    knedit_memory_create(&memory, layout.description, engine, pointer)
    return dnnl_exec_arg_t(arg: argument, memory: memory)
  }
  defer { for argument in arguments { dnnl_memory_destroy(argument.memory) } }
  let status = dnnl_primitive_execute(primitive, stream, Int32(arguments.count), arguments)
  precondition(status == dnnl_success && dnnl_stream_wait(stream) == dnnl_success, "oneDNN failed to execute")
}
