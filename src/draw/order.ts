import { Graph, layout } from '@dagrejs/dagre'

// All that is asked of dagre: which column each box belongs in, and in which order boxes and wires follow each other there,
// so that few wires cross. The same question always gets the same answer.

export interface Node {
  readonly id: string
  readonly width: number
  readonly height: number
}

export interface Edge {
  readonly from: string
  readonly to: string
  /** Tells edges with the same ends apart. */
  readonly name: string
  readonly width: number
  readonly height: number
  /** How much it is worth that the edge is short and straight. */
  readonly weight: number
}

/** The middle of something, in dagre's own picture. */
export interface Spot {
  readonly x: number
  readonly y: number
}

export interface Order {
  /** The column of a box, and its middle. */
  node(id: string): Spot & { readonly rank: number }
  /** Where an edge runs. */
  points(edge: Edge): readonly Spot[]
}

export interface Gaps {
  readonly columns: number
  readonly rows: number
  readonly wires: number
}

/** `sequences` are boxes of one column each, which stand in this order there. */
export const order = (
  nodes: readonly Node[],
  edges: readonly Edge[],
  { columns, rows, wires }: Gaps,
  sequences: readonly (readonly string[])[]
): Order => {
  const graph = new Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'LR', ranksep: columns, nodesep: rows, edgesep: wires })
  for (const { id, width, height } of nodes) graph.setNode(id, { width, height })
  for (const { from, to, name, width, height, weight } of edges)
    graph.setEdge(from, to, { width, height, weight, labelpos: 'c' }, name)
  const constraints = sequences.flatMap(ids =>
    ids.slice(1).map((right, i) => ({ left: ids[i] ?? right, right }))
  )
  layout(graph, { constraints })
  return {
    node: id => {
      const placed: Spot & { readonly rank: number } = graph.node(id)
      return placed
    },
    points: ({ from, to, name }) => {
      const { points }: { readonly points: readonly Spot[] } = graph.edge(from, to, name)
      return points
    }
  }
}
